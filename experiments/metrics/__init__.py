"""What metrics count: their definition, its SQL, and what a running experiment froze of it."""
