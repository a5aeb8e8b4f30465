"""The help pages: built from docs and from the code itself, served at /help."""
