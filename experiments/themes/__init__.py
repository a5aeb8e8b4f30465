"""Themes of feedback: texts as vectors, in groups, with names that last."""
