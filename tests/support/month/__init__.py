"""A month of one surface, in minutes: visitors, challengers of known quality, and the autopilot alone."""
