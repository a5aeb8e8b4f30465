"""What a web process counts of itself, in Prometheus' words.

Guarantees: a count costs about a microsecond and takes no lock that a scrape holds for long; labels
have few values (routes, statuses, projects, kinds of fallback), never what a client makes up. With
`PROMETHEUS_MULTIPROC_DIR`, which `bakeoff up` sets for several web processes, counts are kept in files
of that folder, and whichever process is scraped answers for all of them.
"""

from __future__ import annotations

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# One series more per counter, which nothing here reads.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
ANSWER_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
COMMIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3)
SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
BYTES_BUCKETS = (1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 23)

_REQUESTS = Counter(
    "bakeoff_requests", "Requests that were answered.", ["route", "status"], registry=REGISTRY
)
_SECONDS = Histogram(
    "bakeoff_request_seconds",
    "Time from a request's arrival to its answer, or to the beginning of a stream.",
    ["route"],
    buckets=ANSWER_BUCKETS,
    registry=REGISTRY,
)
_EVENTS = Counter(
    "bakeoff_events", "Events that were committed or spilled.", ["project"], registry=REGISTRY
)
_SLATES = Counter(
    "bakeoff_slates",
    "Slates that were answered, by how far down the ladder they came from.",
    ["project", "fallback"],
    registry=REGISTRY,
)
COMMIT_SECONDS = Histogram(
    "bakeoff_commit_seconds", "Time of a commit.", buckets=COMMIT_BUCKETS, registry=REGISTRY
)
COMMIT_REQUESTS = Histogram(
    "bakeoff_commit_requests", "Requests in a commit.", buckets=SIZE_BUCKETS, registry=REGISTRY
)
COMMIT_BYTES = Histogram(
    "bakeoff_commit_bytes", "Size of a commit, as JSON.", buckets=BYTES_BUCKETS, registry=REGISTRY
)
_DURABILITY = Counter(
    "bakeoff_durability",
    "Requests with rows to keep: committed, spilled, set aside, refused, or unavailable.",
    ["outcome"],
    registry=REGISTRY,
)
# With zeros: an increase from nothing to one could not be seen, and the first loss must be.
for _outcome in ("committed", "spilled", "set_aside", "refused", "unavailable"):
    _DURABILITY.labels(_outcome)
# Of several processes the fullest queue and the oldest configuration matter: one of them is enough.
WRITER_WAITING = Gauge(
    "bakeoff_writer_waiting_requests",
    "Requests that wait for the writer of a web process; the fullest.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
WRITER_WAITING_BYTES = Gauge(
    "bakeoff_writer_waiting_bytes",
    "Bytes that wait for the writer of a web process; the fullest.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
CONFIG_AGE = Gauge(
    "bakeoff_config_age_seconds",
    "Time since a web process has read its configuration; the oldest.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
LOOP_LAG = Gauge(
    "bakeoff_loop_lag_seconds",
    "How late the event loop of a web process turned; the latest.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)


def count_request(route: str, status: int, seconds: float) -> None:
    """Count an answer.

    Args:
        route: the template of its path.
        status: HTTP status.
        seconds: from its arrival to its answer.
    """
    _requests_of(route, status).inc()
    _seconds_of(route).observe(seconds)


def count_events(project: str, number: int) -> None:
    """Count events of a project that are stored."""
    if number:
        _events_of(project).inc(number)


def count_slate(project: str, fallback: str | None) -> None:
    """Count an answer of a surface by its fallback."""
    _slates_of(project, fallback or "none").inc()


def count_durable(outcome: str, requests: int) -> None:
    """Count what became of requests whose rows were to be kept."""
    _durability_of(outcome).inc(requests)


# A look-up by labels checks and locks; these children are looked up once.
@cache
def _requests_of(route: str, status: int) -> Counter:
    return _REQUESTS.labels(route, str(status))


@cache
def _seconds_of(route: str) -> Histogram:
    return _SECONDS.labels(route)


@cache
def _events_of(project: str) -> Counter:
    return _EVENTS.labels(project)


@cache
def _slates_of(project: str, fallback: str) -> Counter:
    return _SLATES.labels(project, fallback)


@cache
def _durability_of(outcome: str) -> Counter:
    return _DURABILITY.labels(outcome)
