"""Deliver alerts: signed webhooks, Slack, e-mail; who subscribes, what is tried again, what is dead."""
