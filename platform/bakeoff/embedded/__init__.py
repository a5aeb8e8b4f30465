"""Bundled PostgreSQL and Valkey, and the supervisor that starts a whole platform on one machine."""
