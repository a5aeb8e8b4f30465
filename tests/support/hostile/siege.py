"""Send hostile cases at a running platform of two web processes, with traffic beside them.

After each case: the traffic goes on, nothing that was refused is stored, what was acknowledged is.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx2
import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.support.faults.conductor import prepare
from tests.support.faults.load import Load
from tests.support.faults.platform import PlatformUnderTest
from tests.support.hostile.grammar import ANSWERED, Case, cases, wire_of

ANSWER_SECONDS = 10.0
STALL_SECONDS = 1.0
SLOW_PATHS = ("/v1/events", "/v1/metrics", "/sign-in/", "/ofrep/v1/evaluate/flags")


@dataclass
class Report:
    """What became of a siege.

    Attributes:
        cases: how many were sent.
        statuses: answers by status; 0 stands for none.
        failures: answers of 5xx other than 503, and of 503 that were an exception.
        stalls: answers of the traffic beside that took longer than a second.
        slowest: seconds of the slowest of them.
        restarted: processes that were there at the start and are not any more.
        wrongly_stored: ids that are stored although they were refused.
        lost: ids that were acknowledged and are not stored.
    """

    cases: int = 0
    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    stalls: int = 0
    slowest: float = 0.0
    answers: int = 0
    unexpected: list[str] = field(default_factory=list)
    restarted: int = 0
    wrongly_stored: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def as_json(self) -> dict:
        return asdict(self)


class TimedLoad(Load):
    """Visitors whose waits are written down."""

    def __init__(self, url: str, key: str, *, clients: int, think_seconds: float) -> None:
        super().__init__(url, key, clients=clients, think_seconds=think_seconds)
        self.waits: list[float] = []
        self.answered_at = time.monotonic()

    async def _post(self, client, path, body):
        started = time.monotonic()
        try:
            return await super()._post(client, path, body)
        finally:
            self.answered_at = time.monotonic()
            self.waits.append(self.answered_at - started)


class Siege:
    """A platform, its traffic, its slow connections, and the cases that are sent at it."""

    def __init__(
        self,
        home: Path,
        *,
        clients: int,
        slow: int,
        think_seconds: float = 0.0,
        interpreter: Path | str = sys.executable,
    ) -> None:
        self.platform = PlatformUnderTest(
            home, own_disk=False, arguments=("--web", "2"), interpreter=interpreter
        )
        self.clients, self.slow, self.think_seconds = clients, slow, think_seconds
        self.report = Report()
        self._ended = threading.Event()

    def __enter__(self) -> Siege:
        self.platform.start()
        prepare(self.platform)
        self.keys = {
            "public": self.platform.public,
            "secret": self.platform.secret,
            "wrong": "sk_wrong",
        }
        self.database = self.platform.database()
        self.database.autocommit = True
        self.processes = self._web_processes()
        self.load = TimedLoad(
            self.platform.url, self.platform.public,
            clients=self.clients, think_seconds=self.think_seconds,
        )  # fmt: skip
        self.load.start()
        self.dripping = threading.Thread(target=self._drip, daemon=True)
        self.dripping.start()
        self.started = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        try:
            self.dripping.join(30)
            ledger = self.load.stop()
            report = self.report
            report.seconds = time.monotonic() - self.started
            report.answers = len(self.load.waits)
            report.slowest = max(self.load.waits, default=0.0)
            report.stalls = sum(wait > STALL_SECONDS for wait in self.load.waits)
            report.unexpected = ledger.unexpected[:20]
            report.restarted = len(self.processes - self._web_processes())
            rows = self.database.execute("SELECT event_id FROM experiments_event").fetchall()
            report.lost += sorted(ledger.acknowledged["events"] - {row[0] for row in rows})[:20]
            self.database.close()
        finally:
            self.platform.close()

    def run(self, *, examples: int, seed: int = 0) -> None:
        """Send so many cases."""

        def one(case: Case) -> None:
            self.send(case)

        quiet = settings(
            max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        hypothesis.seed(seed)(quiet(given(cases())(one)))()

    def send_one_of_each(self) -> None:
        """Send a case for each answer, and see that it is the answer."""
        for expected, case in ANSWERED:
            status = 0
            for _ in range(12):  # 0: no answer in time; a slow machine is no failure
                status = status or self.send(case)
            assert status == expected, f"{case} was answered with {status}, not {expected}."

    def send(self, case: Case) -> int:
        """Send one case, look at what it did, and return the status of its answer."""
        number = self.report.cases
        self.report.cases += 1
        ends = case.delivery in {"half", "longer"}
        status, body = self._exchange(wire_of(case, number, self.keys), ends=ends)
        self.report.statuses[status] = self.report.statuses.get(status, 0) + 1
        failed = status >= 500 and (status != 503 or b'"code":"failed"' in body)
        if failed:
            self.report.failures.append(f"{status} {case} {body[:300]!r}"[:1500])
        self._compare(case, number, status, body)
        self._see_traffic_go_on(case)
        return status

    def _exchange(self, parts: list[bytes], *, ends: bool) -> tuple[int, bytes]:
        """Return the status, or 0 without an answer, and the body.

        Args:
            parts: of the request.
            ends: whether to hang up after the last, whatever was promised.
        """
        answer = b""
        with contextlib.suppress(OSError), socket.create_connection(
            ("127.0.0.1", self.platform.port), timeout=ANSWER_SECONDS
        ) as connection:  # fmt: skip
            try:
                for number, part in enumerate(parts):
                    if number:
                        time.sleep(0.002)
                    connection.sendall(part)
            except OSError:
                pass  # refused before its end: the answer may still be read
            if ends:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65_536):
                answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 100 " in head.split(b"\r\n")[0]:
            head, _, body = body.partition(b"\r\n\r\n")
        words = head.split(b" ", 2)
        return (int(words[1]) if len(words) > 1 and words[1].isdigit() else 0), body

    def _compare(self, case: Case, number: int, status: int, body: bytes) -> None:
        """Compare what was answered with what is stored."""
        stored = self._stored(number)
        if status == 0:
            return  # no answer, no promise
        if status >= 400:
            self.report.wrongly_stored += [f"{status} {case} {row}"[:1000] for row in stored]
            return
        if not case.rows_name or case.entries is None or status not in {200, 202}:
            return
        data = json.loads(body)
        refused = {row["index"] for row in data["rejected"]}
        for row, entry in enumerate(case.entries):
            name = f"hostile-{number}-{row}"
            id_field = "event_id" if case.rows_name == "events" else "messageId"
            if not isinstance(entry, dict) or "{row}" not in str(entry.get(id_field)):
                continue  # its id is no longer ours
            if row in refused and name in stored:
                self.report.wrongly_stored.append(f"{case} {name}"[:1000])
            # A tuple: what is sent as a type may be a list, which no set can be asked for.
            is_event = case.rows_name == "events" or entry.get("type") in ("track", "page", "screen")
            exposure = entry.get("event") == "Experiment Viewed"
            if row not in refused and is_event and not exposure and name not in stored:
                self.report.lost.append(f"{case} {name}"[:1000])

    def _stored(self, number: int) -> set[str]:
        rows = self.database.execute(
            """SELECT event_id FROM experiments_event WHERE event_id LIKE %(id)s
            UNION ALL SELECT feedback_id FROM experiments_feedback WHERE feedback_id LIKE %(id)s
            UNION ALL SELECT 'slate of ' || unit_id FROM experiments_slate WHERE unit_id = %(unit)s""",
            {"id": f"hostile-{number}-%", "unit": f"hostile-{number}"},
        ).fetchall()
        return {row[0] for row in rows}

    def _see_traffic_go_on(self, case: Case) -> None:
        since = time.monotonic()
        while self.load.answered_at < since:
            assert time.monotonic() - since < ANSWER_SECONDS, (
                f"no answer for {ANSWER_SECONDS:g} s after {case}"
            )
            time.sleep(0.001)

    def look(self) -> None:
        """See that pages and both lanes answer within the time, from new connections to either process."""
        with httpx2.Client(base_url=self.platform.url, timeout=ANSWER_SECONDS) as client:
            for _ in range(6):
                headers = {"X-API-Key": self.platform.secret, "Connection": "close"}
                assert client.get("/sign-in/", headers=headers).status_code == 200
                assert client.get("/v1/surfaces", headers=headers).status_code == 200
                assert client.get("/readyz", headers=headers).status_code == 200

    def _drip(self) -> None:
        """Keep connections open that send a byte now and then, and never end."""
        connections: list[socket.socket] = []
        while not self._ended.wait(0.5):
            for connection in list(connections):
                try:
                    connection.sendall(b" ")
                except OSError:
                    connections.remove(connection)
            while len(connections) < self.slow:
                path = SLOW_PATHS[len(connections) % len(SLOW_PATHS)]
                head = (
                    f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.platform.secret}\r\n"
                    "Content-Length: 1000\r\n\r\n"
                )
                with contextlib.suppress(OSError):
                    connection = socket.create_connection(("127.0.0.1", self.platform.port), timeout=2)
                    connections.append(connection)
                    connection.sendall(head.encode())
        for connection in connections:
            connection.close()

    def _web_processes(self) -> set[int]:
        """The web servers and what they spawned."""
        return {process.pid for process in self.platform.families("web")}
