"""Lines of logs as JSON objects, each with the request that it belongs to."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import orjson

from bakeoff.request_trace import current_trace
from bakeoff.telemetry.span_ids import span_ids


class JsonFormatter(logging.Formatter):
    """One object per line: time, level, logger, message; request, key, project, trace; traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (trace := current_trace()) is not None:
            named = {
                "request_id": trace.request_id,
                "route": trace.route,
                "key": trace.key,
                "project": trace.project,
            }
            line |= {name: value for name, value in named.items() if value}
        if (ids := span_ids()) is not None:
            line["trace_id"], line["span_id"] = ids
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode(errors="replace")
