"""What a look reads: totals rolled up from committed rows, and how variants were served."""
