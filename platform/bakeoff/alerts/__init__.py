"""Alerts: what happened that somebody should hear of, who is told, and whether they were."""
