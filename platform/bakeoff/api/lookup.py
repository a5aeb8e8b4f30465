"""What the address of a management request names: a row of the key's project, or a 404 that says so."""

from __future__ import annotations

import logging
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, InterfaceError

from bakeoff.api.errors import Problem

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

logger = logging.getLogger(__name__)
Row = TypeVar("Row", bound="Model")
MAX_NAMES = 1000  # that are compared with a wrong one
MAX_SHOWN = 80


def get_or_404(rows: QuerySet[Row], kind: str, **address: Any) -> Row:
    """Return the row that an address names.

    Args:
        rows: those of the project.
        kind: what they are, in words.
        address: fields and their values; the values together are its name.

    Raises:
        Problem: 404, there is none; 503, it is there and cannot be read.
    """
    name = "@".join(str(value) for value in address.values())[:MAX_SHOWN]
    if any("\0" in str(value) for value in address.values()):
        rows = rows.none()  # PostgreSQL's texts have no NUL, and it would refuse the query
    try:
        return rows.get(**address)
    except ObjectDoesNotExist:
        message = f"No {kind} '{name}' in this project.{_hint(rows, address)}"
        raise Problem(404, "not_found", message) from None
    except (DatabaseError, InterfaceError):
        raise
    except Exception as error:  # whatever a row that makes no sense makes Django raise
        logger.exception("%s '%s' cannot be read", kind, name)
        message = f"{kind} '{name}' cannot be read as it is stored: {type(error).__name__}: {error}"
        raise Problem(503, "unreadable_row", message[:300]) from error


def _hint(rows: QuerySet[Row], address: dict[str, Any]) -> str:
    """Return the nearest name there is, in words."""
    if list(address) != ["key"]:
        return ""
    names = list(rows.order_by("-pk").values_list("key", flat=True)[:MAX_NAMES])
    near = get_close_matches(str(address["key"]), names, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""
