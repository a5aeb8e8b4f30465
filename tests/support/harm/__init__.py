"""Surfaces of one running platform, each with versions of its own and users who do what a test says."""
