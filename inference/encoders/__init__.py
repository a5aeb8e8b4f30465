"""Text encoders: found by name, loaded in workers only."""
