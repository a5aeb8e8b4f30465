"""Tickets by which a page of a project listens to the fast lane.

A session belongs to Django, and the stream of events of a project to the fast lane: a page carries
a signed ticket from one to the other. Anybody who has it learns that something happened, not what.
"""

from __future__ import annotations

import time

from experiments.assignment.qa_links import LinkError, QaLink, read_link, write_link

TICKET = "live:"  # no experiment's key has a colon: a ticket is no link, and a link no ticket
TICKET_SECONDS = 12 * 3600  # a page that is open for longer is loaded anew


def write_ticket(secret: str, project: int) -> str:
    """Return a ticket for a page of a project."""
    return write_link(secret, QaLink(project, TICKET, "", int(time.time()) + TICKET_SECONDS))


def read_ticket(secret: str, ticket: str) -> int:
    """Return the project of a ticket.

    Raises:
        LinkError: it was not signed with this secret, has expired, or is a link.
    """
    link = read_link(secret, ticket, None)
    if link.experiment != TICKET:
        raise LinkError("it is a link")
    return link.project_id
