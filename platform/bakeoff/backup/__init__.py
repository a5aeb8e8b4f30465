"""Backups: a folder that holds all of a platform at one moment, and a platform made of one."""
