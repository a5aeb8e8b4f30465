"""The management API: everything at human speed."""

from bakeoff.api.application import api

__all__ = ["api"]
