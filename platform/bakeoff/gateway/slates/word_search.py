"""Items that have the words of a question: as written, without accents, and one typing error away.

Guarantees: what has all words of the question stands first, accents and widths aside. Where no item has
them, or at most two its only word, those with a word that is one letter away follow; then what has some
of the words. When the time is over, what was found by then is the answer.
"""

from __future__ import annotations

import time
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.errors import QueryCanceled

from inference.serving.word_forms import MIN_LETTERS, fold, is_one_error, near_forms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    import psycopg

MAX_HITS = 1000
MAX_WORDS = 32  # of a question: more would find everything; one between blanks may be many
MAX_CORRECTED = 8  # words of a question that errors are looked for in: each takes dozens of look-ups
# Of a question, all its statements together: less than the connection is given up after, which would
# leave every project without words for a while.
SECONDS = 0.8
MIN_HITS = 20  # with all words; of fewer, what has some words follows
MAX_EXACT = 2  # items with the only word, so that errors are looked for all the same: it may be one
MAX_OTHER, MAX_NEAR = 50, 10  # words in the place of one
LENGTH = 1  # ranks are divided by the logarithm of the length: a long text has many words
# The question's words as the server splits them, in their order, each with what is written otherwise;
# of the last, which may be unfinished, also what begins with it.
_TERMS = f"""
    WITH terms AS (SELECT lexeme, positions[array_upper(positions, 1)] AS place
        FROM unnest(to_tsvector('simple', %(folded)s)) ORDER BY place LIMIT {MAX_WORDS}),
    others AS NOT MATERIALIZED (SELECT word, folded FROM inference_itemword
        WHERE project_id = %(project)s AND word <> folded)
    SELECT plainto_tsquery('simple', %(words)s)::text, terms.lexeme, ARRAY(
        SELECT word FROM others WHERE folded = terms.lexeme
        UNION (SELECT word FROM others WHERE terms.place = (SELECT max(place) FROM terms)
            AND folded >= terms.lexeme AND folded < terms.lexeme || chr(1114111)
            ORDER BY folded LIMIT {MAX_OTHER}))
    FROM terms ORDER BY terms.place"""  # noqa: S608  our constants
# Number by number: for a list of them, the server expects many rows and reads the whole table.
_NEAR = """
    SELECT form, near.word, near.folded FROM unnest(%(forms)s::int[]) AS form, LATERAL (
        SELECT word, folded FROM inference_itemword
        WHERE project_id = %(project)s AND near @> ARRAY[form] LIMIT 100) AS near"""
# The question is read once: cast where it is used, each row's rank would read it again.
_HITS = """
    WITH sought AS MATERIALIZED (SELECT %(query)s::tsquery AS query)
    SELECT item_id FROM inference_item AS item, sought
    WHERE item.project_id = %(project)s AND item.document @@ sought.query
    ORDER BY ts_rank(item.document, sought.query, %(length)s) DESC, item.id DESC LIMIT %(limit)s"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is sought.

    Attributes:
        written: as PostgreSQL reads it, a conjunction; empty for no word.
        terms: its words, folded, in their order.
        others: per term, words of the catalogue that are written otherwise.
    """

    written: str
    terms: tuple[str, ...]
    others: tuple[tuple[str, ...], ...]

    def query(self, operator: str, near: Mapping[str, Sequence[str]] | None = None) -> str:
        """Return a query for items with all (`&`) or some (`|`) of the words.

        Args:
            operator: that joins words.
            near: words to be found in the place of a term, too.
        """
        parts = []
        for place, term in enumerate(self.terms):
            ending = ":*" if place == len(self.terms) - 1 else ""
            words = (*self.others[place], *((near or {}).get(term, ())))
            either = " | ".join([_quoted(term) + ending, *map(_quoted, words)])
            parts.append(f"({either})" if words else either)
        folded = f" {operator} ".join(parts)
        # As it is written, too: a word that is not stored apart is found by its letters.
        written = f"{self.written}:*".replace(" & ", f" {operator} ")
        return written if folded == written else f"({written}) | ({folded})"


async def find_by_words(
    connection: psycopg.AsyncConnection, project: int, question: str
) -> list[str] | None:
    """Return the items that have words of a question, best first; None where nothing was in time.

    Raises:
        psycopg.Error: the database did not answer.
    """
    words = unicodedata.normalize("NFC", " ".join(question.split()[:MAX_WORDS]))
    reader = _Reader(connection, project, time.monotonic() + SECONDS)
    found = None
    try:
        async with connection.transaction():  # to which the time that is left is set
            async for more in _find(reader, words):
                found = more
    except QueryCanceled:  # what there is by now is worth more than nothing
        pass
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads in a transaction what one question asks, until its time is over.

    Attributes:
        connection: in a transaction.
        project: whose items.
        ends: when, by the monotonic clock.
    """

    connection: psycopg.AsyncConnection
    project: int
    ends: float

    async def read(self, statement: str, values: Mapping[str, Any]) -> list[Any]:
        """Return the rows of a statement.

        Raises:
            QueryCanceled: the time is over. The server ends the statement, so the connection stays.
        """
        left = max(int(1000 * (self.ends - time.monotonic())), 1)
        await self.connection.execute("SELECT set_config('statement_timeout', %s, true)", [str(left)])
        rows = await self.connection.execute(statement, {"project": self.project, **values})
        return await rows.fetchall()


async def _find(reader: _Reader, words: str) -> AsyncIterator[list[str]]:
    """Yield what is found by a step and the ones before it."""
    sought = await _read(reader, words)
    if sought is None:
        yield []
        return

    async def hits(query: str) -> list[str]:
        rows = await reader.read(_HITS, {"query": query, "length": LENGTH, "limit": MAX_HITS})
        return [row[0] for row in rows]

    found = await hits(sought.query("&"))
    yield found
    near = {}
    if not found or (len(sought.terms) == 1 and len(found) <= MAX_EXACT):
        near = await _near(reader, sought.terms[:MAX_CORRECTED], any_unknown=not found)
    queries = [sought.query("&", near)] if near else []
    if len(sought.terms) > 1:
        queries += [sought.query("|"), *([sought.query("|", near)] if near else [])]
    for query in queries:
        if len(found) < MIN_HITS:
            found = _joined(found, await hits(query))
            yield found


async def _read(reader: _Reader, words: str) -> Question | None:
    rows = await reader.read(_TERMS, {"words": words, "folded": fold(words)})
    if not rows or not rows[0][0]:
        return None
    written = " & ".join(rows[0][0].split(" & ")[:MAX_WORDS])
    return Question(written, tuple(row[1] for row in rows), tuple(tuple(row[2]) for row in rows))


async def _near(reader: _Reader, terms: Sequence[str], *, any_unknown: bool) -> dict[str, list[str]]:
    """Return words of the catalogue that are one error away, by terms that have any.

    Args:
        reader: of the catalogue.
        terms: folded.
        any_unknown: whether no item has them all: then one is unknown, and known ones stay.
    """
    forms = {term: near_forms(term) for term in terms}
    numbers = sorted({one for some in forms.values() for one in some})
    if not numbers:
        return {}
    rows = await reader.read(_NEAR, {"forms": numbers})
    known = {folded for _, _, folded in rows}
    with_form: dict[int, list[tuple[str, str]]] = {}
    for form, word, folded in rows:
        with_form.setdefault(form, []).append((word, folded))
    unknown = {term for term in terms if forms[term] and term not in known}
    # A word of three letters that is known is near to too much.
    sought = unknown if any_unknown and unknown else {one for one in terms if len(one) >= MIN_LETTERS}
    near = {}
    for term in sorted(sought):  # each beside what shares a form with it alone: no other is near
        sharing = {one for form in forms[term] for one in with_form.get(form, ())}
        near[term] = _nearest(term, sharing)
    return {term: words for term, words in near.items() if words}


def _nearest(term: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    """Return the words one error away, first those that begin alike and are as long."""
    words = [one for one in rows if len(one[1]) >= MIN_LETTERS and is_one_error(term, one[1])]
    words.sort(key=lambda one: (one[1][0] != term[0], len(one[1]) != len(term), one))
    return [word for word, _ in words[:MAX_NEAR]]


def _joined(first: list[str], then: list[str]) -> list[str]:
    return list(dict.fromkeys([*first, *then]))[:MAX_HITS]


def _quoted(word: str) -> str:
    """Return a word as it stands in the text of a query."""
    escaped = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
