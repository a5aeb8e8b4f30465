"""What is told of an experiment: words, numbers, pictures; all from stored looks and records."""
