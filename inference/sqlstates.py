"""What PostgreSQL's SQLSTATE says of a statement that failed: that the server is away, or busy.

Prefixes, for `str.startswith`. What is refused because of its values stands in
`experiments.ingest.statement.is_refusal`.
"""

from __future__ import annotations

# Lost connections, a transaction that may only read (a fail-over), resources that are used up, a server
# that goes down or comes up, trouble with its disk.
AWAY = ("08", "25006", "53", "57P", "58")
# The server is there, and the same statement may work a moment later: a deadlock, a lock that is held.
MAY_PASS = (*AWAY, "40", "55P03")
CANCELLED = "57014"  # by a time limit, or by an operator
# Never a reason to blame the rows of a statement, although another statement may work at the same
# moment: on a full disk a small write still finds room on a page.
OF_THE_SERVER = (*MAY_PASS, CANCELLED)
