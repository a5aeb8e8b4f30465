"""Alerts that are promised in the middle of the faults: every one reaches its receiver, under its id."""

from __future__ import annotations

import contextlib

import httpx2

from tests.support.faults.platform import PlatformUnderTest
from tests.support.receiver import Receiver

PATH = "/hook"
WAITING = "SELECT count(*) FROM alerts_delivery WHERE state = 'waiting'"
# A lease of a worker that was killed, and the pause after it.
DELIVERED_SECONDS = 180


class AlertsUnderFaults:
    """A subscription whose receiver fails now and then, and what was promised to it."""

    def __init__(self, platform: PlatformUnderTest) -> None:
        self.platform, self.receiver = platform, Receiver()
        self.promised: set[str] = set()
        self.receiver.answers[PATH] = self._answer
        body = {"name": "ops", "kind": "webhook", "target": self.receiver.url + PATH}
        with self._client() as client:
            answer = client.post("/v1/alerts/subscriptions", json=body)
        assert answer.status_code == 201, answer.text
        self.subscription = answer.json()["id"]

    def _client(self) -> httpx2.Client:
        headers = {"X-API-Key": self.platform.secret}
        return httpx2.Client(base_url=self.platform.url, headers=headers, timeout=30)

    def _answer(self, handler) -> None:
        """Refuse the first attempt of every third alert, and close that of every other third."""
        ids = list(dict.fromkeys(one.id for one in self.receiver.received))
        newest = self.receiver.received[-1].id
        is_first = sum(one.id == newest for one in self.receiver.received) == 1
        turn = ids.index(newest) % 3
        if is_first and turn == 1:
            handler.connection.close()
            return
        handler.send_response(500 if is_first and turn == 2 else 204)
        handler.send_header("content-length", "0")
        handler.end_headers()

    def send(self) -> None:
        """Have an alert recorded; whatever the platform does not promise is not counted."""
        with self._client() as client, contextlib.suppress(httpx2.HTTPError):
            answer = client.post(f"/v1/alerts/subscriptions/{self.subscription}/test")
            if answer.status_code == 201:
                self.promised.add(answer.json()["alert_id"])

    def wait_until_delivered(self) -> set[str]:
        """Wait until nothing waits; return the ids that came."""

        def delivered() -> bool:
            with self.platform.database() as connection:
                return connection.execute(WAITING).fetchone() == (0,)

        self.platform.until(delivered, "every alert is delivered", seconds=DELIVERED_SECONDS)
        self.receiver.close()
        return {one.id for one in self.receiver.received}
