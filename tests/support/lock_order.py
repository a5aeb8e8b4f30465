"""Record in which order transactions lock rows, and name those that leave the order of the actions.

Guarantees: every lock of a row by an ORM statement of the thread's connection is seen, whether by
FOR UPDATE, UPDATE or DELETE. A row that the transaction has locked, or written, before is no new lock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

# The order of experiments/actions/lock_order.py.
ORDER = (
    "experiments_holdout",
    "inference_trainingrun",
    "experiments_experiment",
    "inference_surface",
    "experiments_layer",
    "experiments_proposal",
    "accounts_project",
)
# Others point to these all the time: a lock of the whole key would hold up each who inserts one.
POINTED_TO = ("experiments_experiment", "inference_surface", "experiments_layer", "accounts_project")
_LOCKING = re.compile(r'FROM "(?P<table>\w+)".* FOR (?P<weaker>NO KEY )?UPDATE', re.DOTALL)
_WRITING = re.compile(r'(UPDATE|DELETE FROM) "(?P<table>\w+)".*? WHERE (?P<where>.*)', re.DOTALL)
_IS_OURS = "pg_xact_status(xmin::text::xid8) = 'in progress'"  # what we see and nobody has committed


@dataclass
class LockRecorder:
    """What the present transaction has locked, and what broke the order since the test began."""

    violations: list[str] = field(default_factory=list)
    _locked: dict[str, set[int]] = field(default_factory=dict)
    _transaction: str = ""

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if not connection.in_atomic_block or many or not isinstance(sql, str):
            return execute(sql, params, many, context)
        writing, locking = _WRITING.match(sql), _LOCKING.search(sql)
        if writing and writing["table"] in ORDER:
            where = writing["where"].split(" RETURNING ")[0]
            select = f'SELECT id FROM "{writing["table"]}" WHERE {where}'
            self._note(writing["table"], select, list(params)[-where.count("%s") :], sql)
        answer = execute(sql, params, many, context)
        if locking and locking["table"] in ORDER:
            if locking["table"] in POINTED_TO and not locking["weaker"]:
                self.violations.append(f"locks keys, must be no_key: {sql[:200]}")
            self._note(locking["table"], sql, params, sql)
        return answer

    def _note(self, table: str, select: str, params: Sequence[Any], sql: str) -> None:
        """Note the rows of a statement, and whether a row of a later table was locked before."""
        with connection.connection.cursor() as cursor:
            if (now := self._read_transaction(cursor)) != self._transaction:
                self._locked, self._transaction = {}, now
            ids = {row[0] for row in cursor.execute(select, params).fetchall()}
            new = ids - self._locked.get(table, set())
            cursor.execute(f'SELECT id FROM "{table}" WHERE id = ANY(%s) AND {_IS_OURS}', [list(new)])
            new -= {row[0] for row in cursor.fetchall()}
        later = [name for name in ORDER[ORDER.index(table) + 1 :] if self._locked.get(name)]
        if new and later:
            self.violations.append(f"{table} after {later}: {sql[:300]}")
        self._locked.setdefault(table, set()).update(ids)

    @staticmethod
    def _read_transaction(cursor: Any) -> str:
        return str(cursor.execute("SELECT pg_current_xact_id()").fetchone()[0])


@contextmanager
def record_locks() -> Iterator[LockRecorder]:
    """Record the locks of the thread's connection."""
    recorder = LockRecorder()
    with connection.execute_wrapper(recorder):
        yield recorder
