"""Answers of models: assigned, ranked or classified, recorded."""
