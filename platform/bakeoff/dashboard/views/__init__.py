"""Pages: find what is asked for, read it, show it; acts are actions of the rooms below."""
