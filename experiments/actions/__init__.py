"""What spans rows, cache, queue or audit; one verb a file."""
