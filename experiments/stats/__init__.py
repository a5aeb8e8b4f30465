"""Verdicts from totals: pure functions, numpy and SciPy only, no rows, no clock, no database."""
