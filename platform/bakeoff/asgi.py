"""One port: the fast lane in front, Django behind it in threads."""

from __future__ import annotations

import os

from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.core.wsgi import get_wsgi_application

from bakeoff.environment import read_environment
from bakeoff.gateway.app import Gateway
from bakeoff.gateway.http.thread_pools import Pools
from bakeoff.paths import POOLS
from bakeoff.self_probe import SelfProbing
from bakeoff.start_checks import exit_on_wrong_database
from bakeoff.statement_timeouts import WEB_SECONDS, limit_statements

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")

PAGE_THREADS = 4  # of every path that has no pool of its own


def read_platform_metrics() -> bytes:
    """Return what the servers say, in Prometheus' text format."""
    # At the first scrape: a process that nobody scrapes does without.
    from bakeoff.platform_metrics import read  # noqa: PLC0415

    return read()


environment = read_environment()
environment.home.mkdir(mode=0o700, parents=True, exist_ok=True)  # before the settings want its key
django_application = get_wsgi_application()
limit_statements(WEB_SECONDS)
exit_on_wrong_database(environment)
application = SelfProbing(
    Gateway(
        environment,
        Pools(
            WSGIMiddleware(django_application, workers=PAGE_THREADS),
            {
                prefixes: WSGIMiddleware(django_application, workers=threads)
                for prefixes, threads in POOLS.items()
            },
        ),
        secret=settings.SECRET_KEY,
        platform_metrics=read_platform_metrics,
    ),
    environment.run_folder,
)
