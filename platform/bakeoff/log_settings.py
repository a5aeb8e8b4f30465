"""How processes write their logs, by the settings: as text or JSON, from which level on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bakeoff.environment import Environment

ROOMS = ("bakeoff", "experiments", "inference")


def logging_settings(environment: Environment) -> dict[str, Any]:
    """Return what `logging.config.dictConfig` takes."""
    level = environment.log_level.upper()
    # Libraries' lines of every request would drown what matters: of them warnings at most.
    others = "ERROR" if level == "ERROR" else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {"format": "{asctime} {levelname} {name} {message}", "style": "{"},
            "json": {"()": "bakeoff.json_logs.JsonFormatter"},
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": environment.log_format}
        },
        "root": {"handlers": ["console"], "level": others},
        "loggers": {
            **{room: {"level": level} for room in ROOMS},
            # The server has set its own before it loads the application: here in the same form.
            "uvicorn": {"handlers": ["console"], "propagate": False},
            "uvicorn.error": {"handlers": [], "level": others, "propagate": True},
            # Without a handler the server writes no line of a request, which cost more than answering
            # some: `bakeoff.requests` has them, for who asks for them.
            "uvicorn.access": {"handlers": [], "propagate": False},
        },
    }
