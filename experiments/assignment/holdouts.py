"""Words of a measured holdout, which the loop writes and serving reads."""

HOLDOUT = "holdout"  # the purpose of its experiments
HELD = "holdout"  # key of the variant of who is held out
REFERENCE = "everyone"  # key of the variant of a slice of the same width that lives as everybody does
