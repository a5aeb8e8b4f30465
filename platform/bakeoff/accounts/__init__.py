"""Projects, who may do what in them, and the trail of who did."""
