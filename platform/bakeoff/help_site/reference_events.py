"""What is sent in and what is sent out: events of users, kinds of feedback, alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakeoff.alerts.models import Alert
from bakeoff.api import api
from bakeoff.help_site.markdown import code, plain, table
from bakeoff.help_site.reference_api import fields_of

if TYPE_CHECKING:
    from typing import Any

HEAD = """# Events

Generated from the code. What becomes of an event is in [From an event to a count](../events.md).

"""
IN = (
    (
        "EventIn",
        "An event of a user",
        '`POST /v1/events`: one, or `{"events": [...]}` with up to 1,000.',
    ),
    ("FeedbackIn", "Feedback", "`POST /v1/feedback`: what a user says of an answer."),
)
OUT = """## Alerts

What a [subscription](../alerts.md) can name, and what stands as `type` in a webhook.

"""


def events_page() -> str:
    """Return the page."""
    document: dict[str, Any] = api.get_openapi_schema()
    schemas = document["components"]["schemas"]
    parts = [
        f"## {title}\n\n{words}\n\n"
        + table(("field", "type", "", "meaning"), fields_of(schemas[name], document))
        for name, title, words in IN
    ]
    alerts = table(
        ("alert", "when"), ((code(event.value), plain(str(event.label))) for event in Alert.Event)
    )
    return HEAD + "\n".join(parts) + "\n" + OUT + alerts
