"""Why a provider gave nothing, and the fallback that a slate says."""

from __future__ import annotations

TIMEOUT, OPEN, EMPTY, BROKEN = "timeout", "breaker_open", "empty", "broken"
NOT_DECLARED, RATE_LIMITED, UNAUTHORIZED = "not_declared", "rate_limited", "unauthorized"
REJECTED = "rejected"  # the request, which another provider may take
MODEL_ERROR, UNAVAILABLE = "model_error", "model_unavailable"
_FALLBACKS = {TIMEOUT: TIMEOUT, OPEN: OPEN, NOT_DECLARED: UNAVAILABLE, BROKEN: BROKEN}


def fallback_of(reason: str) -> str:
    """Return an attempt's reason as a slate's fallback."""
    return _FALLBACKS.get(reason, MODEL_ERROR)
