"""Django's settings, all derived from the environment (docs/settings.md lists what it reads)."""

from __future__ import annotations

import os
from pathlib import Path

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from bakeoff.database_address import unreadable
from bakeoff.environment import SettingError, read_environment
from bakeoff.gateway.http.bodies import MAX_BULK_BODY
from bakeoff.log_settings import logging_settings
from bakeoff.preferred_host import is_one_of_several
from bakeoff.secret_key import read_key

BAKEOFF = read_environment()


SECRET_KEY = read_key(BAKEOFF.home)
# Older keys: what they signed stays valid while a new one is brought in.
SECRET_KEY_FALLBACKS = os.environ.get("SECRET_KEY_FALLBACKS", "").replace(",", " ").split()
DEBUG = BAKEOFF.debug
PUBLIC = BAKEOFF.public
OIDC = BAKEOFF.oidc
SUB_PATH = PUBLIC.path if PUBLIC is not None else ""
ALLOWED_HOSTS = [*BAKEOFF.allowed_hosts, *([PUBLIC.hostname] if PUBLIC is not None else [])]
BASE_DIR = Path(__file__).resolve().parent

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin.apps.SimpleAdminConfig",  # urls.py finds its pages: workers do without
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "ninja",
    "bakeoff.accounts",
    "bakeoff.alerts",
    "bakeoff.dashboard",
    "experiments",
    "inference",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "bakeoff.compressed_answers.CompressPages",
    "bakeoff.traced_routes.TraceRoutes",
    "bakeoff.dashboard.replica_pages.RememberChanges",
    "bakeoff.api.middleware.JsonErrors",
    "bakeoff.compressed_answers.CompressedStaticFiles",
    "bakeoff.dashboard.middleware.ContentSecurityPolicy",
    "bakeoff.dashboard.middleware.AddressesWithoutNul",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "bakeoff.dashboard.second_factor_gate.SecondFactorGate",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "bakeoff.urls"
WSGI_APPLICATION = None

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "bakeoff.dashboard.navigation.navigation",
            ],
        },
    },
]


def _database(name: str, url: str) -> dict[str, object]:
    """Translate the libpq URL of a setting, which psycopg itself parses, into Django's words.

    Raises:
        SettingError: it is not a libpq URL; the driver's own message would show its password.
    """
    try:
        options = conninfo_to_dict(url)
    except ProgrammingError as error:
        raise SettingError(f"{unreadable(name)}.") from error
    parts = {key: str(value) for key, value in options.items() if value is not None}
    known = {
        "dbname": "NAME",
        "user": "USER",
        "password": "PASSWORD",
        "host": "HOST",
        "port": "PORT",
    }
    if is_one_of_several(parts):
        # They change together (connected_hosts.py), so they must be one value: another thread that
        # reads HOST and then PORT could take them from two moments.
        del known["host"], known["port"]
    settings: dict[str, object] = {name: parts.pop(key) for key, name in known.items() if key in parts}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        # A pooler lends another server connection to each transaction, and a cursor of the last one
        # is not there. Django's psycopg prepares nothing unless it is told to.
        "DISABLE_SERVER_SIDE_CURSORS": BAKEOFF.pooled,
        "OPTIONS": parts,
        **settings,
    }


DATABASES = {"default": _database("DATABASE_URL", BAKEOFF.database_url)}
# Not one of Django's databases: only what names it reads there (experiments/replica.py).
REPLICA_DATABASE = (
    _database("DATABASE_REPLICA_URL", BAKEOFF.replica_url) if BAKEOFF.replica_url else None
)
# Imported before the first message is sent: who sends none does without.
CELERY_APPLICATION = "bakeoff.celery"
# Called by processes that continue a trace.
PROCESS_SPAN = "bakeoff.telemetry.process_spans.process_span"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = LOGOUT_REDIRECT_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

FORCE_SCRIPT_NAME = SUB_PATH or None
STATIC_URL = f"{SUB_PATH}/static/"
WHITENOISE_USE_FINDERS = True  # served from the packages: nothing to collect
WHITENOISE_AUTOREFRESH = False

# The fast lane bounds bodies before Django sees them: see gateway/bodies.py.
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BULK_BODY
# A form has a table of 10,000 rows with three cells each at most (dashboard/table_field.py).
DATA_UPLOAD_MAX_NUMBER_FIELDS = 40_000

# The scheme of a request is what a trusted proxy says (gateway/front.py), so no header is named here:
# SECURE_PROXY_SSL_HEADER would believe anybody.
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_HSTS_SECONDS = 31_536_000 if PUBLIC is not None and PUBLIC.scheme == "https" else 0
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE_HSTS_SECONDS > 0
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LANGUAGE_COOKIE_PATH = f"{SUB_PATH}/"
CSRF_FAILURE_VIEW = "bakeoff.dashboard.stale_forms.refuse_stale_form"
CSRF_TRUSTED_ORIGINS = [PUBLIC.origin] if PUBLIC is not None else []
# A key's text is shown once by a message: it stays on the server, and in no cookie.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"

if BAKEOFF.smtp is not None:
    EMAIL_HOST, EMAIL_PORT = BAKEOFF.smtp.host, BAKEOFF.smtp.port
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = BAKEOFF.smtp.user, BAKEOFF.smtp.password
    EMAIL_USE_TLS, EMAIL_USE_SSL = (BAKEOFF.smtp.security == one for one in ("starttls", "tls"))
    DEFAULT_FROM_EMAIL = SERVER_EMAIL = BAKEOFF.smtp.sender
EMAIL_TIMEOUT = 10  # seconds without a word of the SMTP server

UNFOLD = {"SITE_TITLE": "Bakeoff", "SITE_HEADER": "Bakeoff", "SITE_URL": f"{SUB_PATH}/"}

LOGGING = logging_settings(BAKEOFF)
