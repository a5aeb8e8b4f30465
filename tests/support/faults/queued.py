"""Work that is queued while the broker loses its messages and workers die: all of it gets done."""

from __future__ import annotations

import httpx2

from inference.serving.beats import read_beats
from tests.support.faults.platform import PlatformUnderTest

BEATING = {"beat", *(f"worker-{name}" for name in ("loop", "analysis", "embed", "answer", "train"))}

WAITING = """SELECT
    (SELECT count(*) FROM inference_item WHERE vector_due_at IS NOT NULL),
    (SELECT count(*) FROM inference_trainingrun WHERE state IN ('queued', 'running'))"""
ENDED = "SELECT state, message FROM inference_trainingrun ORDER BY id"


class QueuedWork:
    """Trainings and texts that a person asks for in the middle of the faults."""

    def __init__(self, platform: PlatformUnderTest) -> None:
        self.platform, self.items, self.runs = platform, 0, 0

    def queue_and_lose(self) -> None:
        """Queue work while its workers are frozen, lose the messages, and kill who holds one."""
        self.platform.suspend("worker-train", "worker-embed")
        self.platform.until(self._queue, "work is queued")
        self.platform.broker().flushdb()
        # What a worker had taken already dies with it: nothing but the rows knows of the work.
        self.platform.kill("worker-train", "worker-embed")

    def _queue(self) -> bool:
        """Ask for texts to be embedded and for a training, as anybody would; False to try again."""
        headers = {"X-API-Key": self.platform.secret}
        with httpx2.Client(base_url=self.platform.url, headers=headers, timeout=30) as client:
            name = f"late-{self.items}"
            items = {"items": [{"item_id": name, "title": f"Text {name}"}]}
            if client.put("/v1/items", json=items).status_code != 200:
                return False
            self.items += 1
            path = "/v1/surfaces/feed/training-runs"
            answer = client.post(path, json={"algorithm": "popularity"})
            if answer.status_code == 422 and "active already" in answer.text:
                return True  # of the round before: it must end too
            self.runs += answer.status_code == 202
            return answer.status_code == 202

    def wait_until_everybody_beats(self) -> None:
        """Wait until each process in the background gives signs of life."""

        def beat() -> bool:
            alive = {one.beat.name for one in read_beats(self.platform.cache()) if not one.silent}
            return {name.partition("@")[0] for name in alive} >= BEATING

        self.platform.until(beat, "workers and beat give signs of life")

    def wait_until_done(self) -> list[tuple[str, str]]:
        """Wait until nothing is due; return each run's state and message."""

        def done() -> bool:
            with self.platform.database() as connection:
                return connection.execute(WAITING).fetchone() == (0, 0)

        self.platform.until(done, "everything that was queued is done", seconds=240)
        with self.platform.database() as connection:
            return connection.execute(ENDED).fetchall()
