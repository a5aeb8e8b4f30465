"""An alert as each kind of target wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.alerts.models import Alert

if TYPE_CHECKING:
    from bakeoff.delivery.claimed import ClaimedDelivery

MAX_LINE = 150
MAX_SLACK_TEXT = 2900  # Slack refuses sections of more than 3,000 characters


def webhook_message(claimed: ClaimedDelivery) -> dict[str, Any]:
    """Return the body of a webhook: type, timestamp and data, as the standard recommends."""
    return {
        "type": claimed.event,
        "timestamp": claimed.created_at.isoformat(),
        "data": {
            "id": claimed.alert_id,
            "project": claimed.project,
            "subject": claimed.subject,
            "summary": claimed.summary,
            "detail": claimed.detail,
            "url": claimed.url,
        },
    }


def slack_message(claimed: ClaimedDelivery) -> dict[str, Any]:
    """Return the body of an incoming webhook of Slack, which Mattermost and others take too."""
    title = _escape(f"{claimed.project} · {event_title(claimed.event)}: {_line(claimed.subject)}")
    text = _escape(claimed.summary)[:MAX_SLACK_TEXT]
    link = f"\n<{claimed.url}|Open in Bakeoff>" if claimed.url else ""
    section = {"type": "section", "text": {"type": "mrkdwn", "text": f"*{title}*\n{text}{link}"[:3000]}}
    return {"text": f"{title}: {text}"[:MAX_SLACK_TEXT], "blocks": [section]}


def email_subject(claimed: ClaimedDelivery) -> str:
    """Return one line, whatever stands in the alert: a line break would begin another header."""
    return _line(f"[Bakeoff] {claimed.project}: {event_title(claimed.event)}, {claimed.subject}")


def email_body(claimed: ClaimedDelivery) -> str:
    """Return the text of an e-mail."""
    detail = [f"{key}: {value}" for key, value in claimed.detail.items() if _is_short(value)]
    parts = [claimed.summary, "\n".join(detail), claimed.url or ""]
    about = f"Alert {claimed.alert_id}, {claimed.created_at:%Y-%m-%d %H:%M:%S} UTC"
    return "\n\n".join([*(part for part in parts if part), about]) + "\n"


def event_title(event: str) -> str:
    """Return an event in words."""
    return dict(Alert.Event.choices).get(event, event)


def _is_short(value: object) -> bool:
    return isinstance(value, str | int | float | bool) and len(str(value)) <= MAX_LINE


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…"


def _escape(text: str) -> str:
    """Escape what Slack reads as markup: a name could mention a whole channel otherwise."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
