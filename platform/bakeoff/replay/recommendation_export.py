"""Recommendations of many units into a Parquet file, over HTTP: for e-mails and push messages.

Each unit is a request to a running platform like a visitor's, so it gets its variant, the rules and the
fallbacks that it would get anyway, and its slate is stored. Memory holds some requests and one group of
rows, however many units there are.
"""

from __future__ import annotations

import json
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import httpx2
import pyarrow as pa
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

REQUESTS_AT_ONCE = 8
WINDOW = 64  # requests that are sent or wait: a slow one holds the others up no sooner
GROUP_ROWS = 20_000  # rows that wait in memory for their group of the file
TIMEOUT_SECONDS = 30.0
RETRIES = 20  # a platform that restarts is back within them
OF_ITEMS = ("url", "image_url", "price")  # beside the title, which every answer has
SCHEMA = pa.schema(
    [
        ("unit_id", pa.string()),
        ("position", pa.int32()),
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("url", pa.string()),
        ("image_url", pa.string()),
        ("price", pa.float64()),
        ("score", pa.float64()),
        ("slate_id", pa.string()),
        ("experiment", pa.string()),
        ("variant", pa.string()),
        ("model", pa.string()),
        ("fallback", pa.string()),
    ]
)


class ExportError(Exception):
    """The platform refused a request; the message is its own."""


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported.

    Attributes:
        url: of the platform.
        key: a secret key that may serve.
        surface: whose recommendations.
        k: items per unit.
        context: of every request.
        expose: whether units count as having seen their slates now.
        fields: further fields and properties of the items, a column of texts each.
    """

    url: str
    key: str
    surface: str
    k: int
    context: Mapping[str, Any] = field(default_factory=dict)
    expose: bool = False
    fields: Sequence[str] = ()

    @property
    def schema(self) -> pa.Schema:
        """The columns of the file."""
        return pa.schema([*SCHEMA, *((name, pa.string()) for name in self.fields)])


@dataclass(slots=True)
class Exported:
    """What was written: units with recommendations, units without, and rows."""

    units: int = 0
    empty: int = 0
    rows: int = 0


def export_recommendations(
    export: Export, units: Iterator[str], file: Path, progress: Callable[[int], None]
) -> Exported:
    """Write one row per unit and slot, in the order of the units; the file appears when it is whole.

    Raises:
        ExportError: the platform refused a request, or stayed away.
        OSError: the file cannot be written.
    """
    unfinished, exported = file.with_name(f"{file.name}.unfinished"), Exported()
    rows: list[dict[str, Any]] = []
    try:
        with parquet.ParquetWriter(unfinished, export.schema) as writer:
            for slots in _ask_all(export, units):
                rows += slots
                exported.rows += len(slots)
                exported.units += bool(slots)
                exported.empty += not slots
                progress(1)
                if len(rows) >= GROUP_ROWS:
                    writer.write_table(pa.Table.from_pylist(rows, schema=export.schema))
                    rows = []
            writer.write_table(pa.Table.from_pylist(rows, schema=export.schema))
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return exported


def _ask_all(export: Export, units: Iterator[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of each unit, in their order; a few requests are under way at once."""
    headers = {"Authorization": f"Bearer {export.key}"}
    waiting: deque[Future[list[dict[str, Any]]]] = deque()
    client = httpx2.Client(base_url=export.url, headers=headers, timeout=TIMEOUT_SECONDS)
    with client, ThreadPoolExecutor(REQUESTS_AT_ONCE) as threads:
        try:
            # Units are read here and not in the threads: a connection to PostgreSQL has one.
            for unit in islice(units, WINDOW):
                waiting.append(threads.submit(_ask, client, export, unit))
            while waiting:
                slots = waiting.popleft().result()
                for unit in islice(units, 1):
                    waiting.append(threads.submit(_ask, client, export, unit))
                yield slots
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _ask(client: httpx2.Client, export: Export, unit: str) -> list[dict[str, Any]]:
    """Return the rows of one unit."""
    body: dict[str, Any] = {
        "surface": export.surface,
        "unit_id": unit,
        "k": export.k,
        "fields": [*OF_ITEMS, *export.fields],
    }
    if export.context:
        body["context"] = export.context
    if not export.expose:
        body["expose"] = False
    slate = _post(client, body)
    if slate.get("recorded") is False:
        raise ExportError("The platform cannot store slates now: without them nothing can be credited.")
    about = {name: slate[name] for name in ("experiment", "variant", "model", "fallback")}
    return [
        {
            "unit_id": unit,
            "position": item["position"],
            "item_id": item["item_id"],
            "title": item["title"],
            **{name: item.get(name) for name in OF_ITEMS},
            "score": item["score"],
            "slate_id": slate["recommendation_id"],
            **about,
            **_texts({**item.get("properties", {}), **item}, export.fields),
        }
        for item in slate["items"]
    ]


def _texts(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, str | None]:
    """Return values as texts, what is none as JSON; a property has another type in another item."""
    texts: dict[str, str | None] = {}
    for name in names:
        value = values.get(name)
        is_text = value is None or isinstance(value, str)
        texts[name] = value if is_text else json.dumps(value, ensure_ascii=False)
    return texts


def _post(client: httpx2.Client, body: Mapping[str, Any]) -> dict[str, Any]:
    """Ask for a slate, and try again while the platform is busy or away."""
    problem = "it stayed busy"
    for attempt in range(RETRIES):
        try:
            answer = client.post("/v1/recommend", json=body)
        except httpx2.TransportError as error:
            problem = str(error)
            time.sleep(0.05 * 2 ** min(attempt, 5))
            continue
        if answer.is_success:
            slate: dict[str, Any] = answer.json()
            return slate
        if answer.status_code not in {429, 503}:
            raise ExportError(_message_of(answer))
        time.sleep(float(answer.headers.get("retry-after", "1")))
    raise ExportError(f"{client.base_url} does not answer: {problem}.")


def _message_of(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"The platform answered with status {answer.status_code}."
