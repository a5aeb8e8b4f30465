"""What spans rows, cache and queue; one verb a file."""
