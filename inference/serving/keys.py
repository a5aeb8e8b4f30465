"""Names of what the cache holds. All of it can be rebuilt from PostgreSQL."""

MAX_RECENT = 50  # as many as any scorer reads
MAX_ACTIONS = 500  # of a unit that are remembered: the newest
CANDIDATES_TTL_SECONDS = 7 * 86_400  # of a unit that has not come back for a week


def recent_key(history: str, unit_id: str) -> str:
    """List of the items that a unit liked lately, newest first.

    Surfaces that count the same as a like share it: `history` names the project and its rules.
    """
    return f"recent:{history}:{unit_id}"


def actions_key(project_id: int, unit_id: str) -> str:
    """Sorted set of what a unit refused and bought, on all surfaces of the project, by time."""
    return f"actions:{project_id}:{unit_id}"


def other_actions_key(project_id: int, unit_id: str) -> str:
    """Sorted set of what else a unit did that a rule may name; read by requests with such a rule."""
    return f"other-actions:{project_id}:{unit_id}"


def surveyed_key(project_id: int, survey: str, unit_id: str) -> str:
    """There while a unit is not asked again, which is for the survey's period."""
    return f"asked:{project_id}:{survey}:{unit_id}"


def histories_key(project_id: int) -> str:
    """Set of the histories that a project ever had: what is liked may be changed."""
    return f"histories:{project_id}"


def active_key(history: str) -> str:
    """Set of units that liked something that their surfaces have not taken up yet."""
    return f"active:{history}"


def candidates_key(version_id: int, unit_id: str) -> str:
    """Best items of one version for a unit: int32 indices into the version's items, best first."""
    return f"candidates:{version_id}:{unit_id}"


def dirty_key(surface_id: int) -> str:
    """Set of units whose candidates are out of date."""
    return f"dirty:{surface_id}"


def taken_key(surface_id: int) -> str:
    """Set of dirty units that a worker has taken and not finished."""
    return f"taken:{surface_id}"


def marked_key(surface_id: int) -> str:
    """Set of versions for which every unit of the surface was marked as dirty once."""
    return f"marked:{surface_id}"


def serving_key(process: str) -> str:
    """What one web process serves now: a `ServingHeartbeat` as JSON."""
    return f"serving:{process}"


SERVING = "serving"  # set of the processes that have a heartbeat, or had one a moment ago
GONE = "serving:gone"  # hash of processes whose heartbeat ended without a word to when that was seen
PLACES_DUE = "places-due"  # sorted set of projects whose new items are to be placed, by when
PROBES = "probes"  # hash of version id to nonce: what web processes are to load and to try


MAX_SHADOWED = 2000  # a comparison needs no more, and the list lies in memory


def shadow_key(surface_id: int) -> str:
    """List of requests that versions in shadow are to answer too."""
    return f"shadow:{surface_id}"


def totals_key(version_id: int) -> str:
    """What a version of an order counts: a hash, as `inference.serving.order_totals` writes it."""
    return f"totals:{version_id}"


def spent_key(day: str, kind: str, name: str) -> str:
    """Tokens and money that a key, unit, address, project or surface spent on a day: a hash."""
    return f"spent:{day}:{kind}:{name}"


def answer_key(surface_id: int, digest: str) -> str:
    """An answer that is given again to the same messages."""
    return f"answer:{surface_id}:{digest}"


def answers_of_unit_key(project_id: int, unit_id: str) -> str:
    """Set of the names of cached answers that a unit was given."""
    return f"answers:{project_id}:{unit_id}"
