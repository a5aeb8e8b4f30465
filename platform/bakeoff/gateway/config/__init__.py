"""What requests read: the configuration of every project, as one frozen value."""
