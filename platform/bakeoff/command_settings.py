"""Django's settings of a command that reads and changes rows: without what pages alone need.

Pages, the API and Celery's application are half of the time that Django takes to start.
"""

from bakeoff.settings import *  # noqa: F403
from bakeoff.settings import INSTALLED_APPS

INSTALLED_APPS = [
    name
    for name in INSTALLED_APPS
    if name not in {"unfold", "django_htmx", "ninja", "bakeoff.dashboard"}
]
