"""A project's configuration as a file: exported, compared, applied."""
