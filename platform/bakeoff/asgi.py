"""One port: the fast lane in front, Django behind it in threads."""

from __future__ import annotations

import os

from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.core.wsgi import get_wsgi_application

from bakeoff.environment import read_environment
from bakeoff.gateway.app import Gateway
from bakeoff.self_probe import SelfProbing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bakeoff.settings")

DJANGO_THREADS = 4

environment = read_environment()
environment.home.mkdir(mode=0o700, parents=True, exist_ok=True)  # before the settings want its key
django_application = get_wsgi_application()
application = SelfProbing(
    Gateway(
        environment,
        WSGIMiddleware(django_application, workers=DJANGO_THREADS),
        secret=settings.SECRET_KEY,
    ),
    environment.run_folder,
)
