"""Who gets which variant, what happened, which is better."""
