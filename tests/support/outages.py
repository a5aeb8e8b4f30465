"""A fast lane whose PostgreSQL and Redis are behind wires that can be cut or frozen."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

from bakeoff.environment import read_environment
from tests.support.fast_lane import FastLane
from tests.support.proxy import Wire

ASK = {"surface": "home-feed", "unit_id": "u1", "k": 3}


class Outage:
    def __init__(self, *, redis_url: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="wire-"))
        run = settings.BAKEOFF.run_folder
        self.postgres = Wire(self.folder / ".s.PGSQL.5432", run / ".s.PGSQL.5432")
        self.redis = Wire(self.folder / "valkey.sock", run / "valkey.sock")
        url = f"postgresql:///test_bakeoff?host={quote(str(self.folder), safe='')}&user=bakeoff"
        self.environment = replace(
            read_environment(),
            database_url=url,
            redis_url=redis_url or f"unix://{self.folder / 'valkey.sock'}?db=0",
        )
        self.lane = FastLane(self.environment)

    def stop(self) -> None:
        self.postgres.thaw()
        self.redis.thaw()
        self.lane.stop()
        self.postgres.close()
        self.redis.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def click(n: int) -> dict:
    return {"event_id": f"e{n}", "name": "click", "unit_id": "u1", "item_id": "i1"}
