"""Smaller artifacts of a version: each is a version of its own with its own gate."""
