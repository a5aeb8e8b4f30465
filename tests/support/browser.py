"""A real Chromium for tests; where there is none, the test is skipped, or fails if one is required."""

from __future__ import annotations

import os
import shutil
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

# A browser without a window says so in its user agent, which is a crawler's: it would be no visitor.
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        if os.environ.get("BAKEOFF_REQUIRE_CHROMIUM"):
            pytest.fail("no Chromium here: apt-get install chromium")
        pytest.skip("no Chromium here: apt-get install chromium")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright keeps a loop in this thread
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", f"--user-agent={PERSON}"]
        )
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Visit:
    """A person's browser: it writes down what pages ask for elsewhere, and their errors."""

    def __init__(self, chromium, lane, person=None, **options) -> None:
        self.context = chromium.new_context(base_url=lane.url, **options)
        self.origin = urlsplit(lane.url).netloc
        self.elsewhere, self.errors = [], []
        if person is not None:
            session = SessionStore()
            session[SESSION_KEY] = str(person.pk)
            session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
            session[HASH_SESSION_KEY] = person.get_session_auth_hash()
            session.save()
            cookie = {
                "name": settings.SESSION_COOKIE_NAME,
                "value": session.session_key,
                "url": lane.url,
            }
            self.context.add_cookies([cookie])
        self.page = self.context.new_page()
        self.page.on("request", self._on_request)
        self.page.on("console", lambda m: m.type == "error" and self.errors.append(m.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _on_request(self, request) -> None:
        where = urlsplit(request.url)
        if where.scheme in {"http", "https", "ws", "wss"} and where.netloc != self.origin:
            self.elsewhere.append(request.url)

    def close(self) -> None:
        self.context.close()
