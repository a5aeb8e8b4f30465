"""What went wrong once on a running platform, each case on a surface of its own, all at the same time.

docs/autopilot.md says what must become of each. Users come and send events over HTTP; the platform does
the rest by itself: no look is due after the first, so what ends a test is the breaker.
"""

from __future__ import annotations

import pytest

from tests.support.harm.surfaces import Surfaces, Version

OLD, NEW = "2026-01-01", "2026-02-01"
TESTED = ("errors", "clicks", "complaints", "ramp")
RAMP = [
    {"share": 0.2, "minimum_seconds": 0, "units": 20},
    {"share": 0.5, "minimum_seconds": 0},
]


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory):
    # The path of a socket is short.
    with Surfaces(tmp_path_factory.mktemp("h") / "h") as surfaces:
        _prepare(surfaces)
        _visit(surfaces)
        yield surfaces


def _prepare(surfaces: Surfaces) -> None:
    """Open all surfaces, then the holdout, then let challengers wait."""
    surfaces.call("POST", "/v1/metrics", {"key": "clicks", "kind": "mean", "event": "click"})
    for key, event in (("errors", "error"), ("complaints", "complaint")):
        metric = {"key": key, "kind": "proportion", "event": event, "direction": "decrease"}
        surfaces.call("POST", "/v1/metrics", metric)
    for key in ("errors", "complaints"):
        surfaces.open(key, guardrails=[{"metric": key, "margin": 0.2}])
    surfaces.open("clicks")
    soon = {"key": "soon", "kind": "mean", "event": "click", "window_seconds": 5}
    surfaces.call("POST", "/v1/metrics", soon)
    surfaces.open("ramp", primary_metric="soon", ramp=RAMP)
    surfaces.open("unset", primary_metric=None)
    surfaces.open("queue", champion=Version(alias="champion", data=NEW, likes=9), paused=True)
    surfaces.open("refits", champion=Version(alias="champion", data=OLD, likes=9))
    surfaces.call("PUT", "/v1/holdout", {"share": 0.1})
    for key in (*TESTED, "unset"):
        surfaces.place(key, Version("ease"))
    surfaces.place("queue", Version("ease", data=NEW, likes=2))
    surfaces.place("queue", Version("ease", data=NEW, likes=3))
    surfaces.place("queue", Version("als", data=OLD))
    surfaces.place("refits", Version(data=NEW, likes=8, refit_of="popularity@1"))


def _visit(surfaces: Surfaces) -> None:
    """Let users come to the tests, and do what each case says."""
    for key in TESTED:
        surfaces.until(lambda key=key: surfaces.test(key).get("state") == "running", f"test of {key}")
    users = {"errors": 130, "clicks": 200, "complaints": 80}
    arms = {key: surfaces.visit(key, range(number)) for key, number in users.items()}
    surfaces.act("error", arms["errors"], control=0.016, treatment=0.91)
    surfaces.act("click", arms["clicks"], control=0.3, treatment=0.0)
    surfaces.act("complaint", arms["complaints"], control=0.0, treatment=1.0)


def test_a_ramp_waits_for_users_and_steps_once_they_came(surfaces):
    def lacking() -> list[str]:
        ramp = surfaces.autopilot("ramp")["ramp"]
        return [need["kind"] for need in ramp["needs"] if not need["holds"]] if ramp else []

    surfaces.until(lambda: lacking() == ["users"], "a ramp that lacks users alone")
    assert surfaces.test("ramp")["allocation"] == 0.4
    for start in range(0, 160, 20):  # so that nobody's click comes too late to count
        arms = surfaces.visit("ramp", range(start, start + 20))
        surfaces.act("click", arms, **{variant: 0.5 for variant in arms if variant})
    surfaces.until(lambda: surfaces.test("ramp")["allocation"] == 1.0, "the ramp's step")


@pytest.mark.parametrize(
    ("surface", "metric"), [("errors", "errors"), ("clicks", "clicks"), ("complaints", "complaints")]
)
def test_harm_is_rolled_back_by_the_breaker(surfaces, surface, metric):
    surfaces.until(lambda: surfaces.decision(surface), f"the end of the test of {surface}")
    decision = surfaces.decision(surface)
    assert decision["action"] == "roll_back"
    (trip,) = surfaces.report(surface)["breaker"]["trips"]
    assert (trip["variant"], trip["metric"]) == ("treatment", metric)
    assert surfaces.test(surface)["state"] == "ended"
    surfaces.until(lambda: surfaces.report(surface)["breaker"]["trips"][0]["confirmed"], "all confirm")
    assert "treatment" not in surfaces.visit(surface, range(20))


def test_a_retrained_model_without_a_metric_starts_nothing_and_the_home_page_says_so(surfaces):
    assert surfaces.test("unset") == {}
    assert surfaces.autopilot("unset")["now"]["state"] == "no_primary_metric"
    page = surfaces.home_page()
    assert "unset</a>: no primary metric, so no automatic experiment starts" in page
    assert "ramp</a>: no primary metric" not in page


def test_the_newest_supersedes_and_nothing_older_than_the_champions_data_waits(surfaces):
    def queue() -> list[str]:
        return [row["version"] for row in surfaces.autopilot("queue")["queue"]]

    surfaces.until(lambda: len(queue()) == 1, "the queue is tidy")
    assert queue() == ["ease@2"]
    left = surfaces.query(
        """SELECT v.algorithm || '@' || v.number, m.reason FROM inference_aliasmove AS m
        JOIN inference_modelversion AS v ON v.id = m.version_id
        JOIN inference_surface AS s ON s.id = v.surface_id WHERE s.key = 'queue' ORDER BY v.id"""
    )
    assert left == [
        ("ease@1", "superseded by ease@2"),
        ("als@1", "learnt from older data than the champion, popularity@1"),
    ]


def test_a_refit_on_newer_data_is_champion_without_a_test(surfaces):
    def champion() -> str:
        return str(surfaces.autopilot("refits")["champion"]["version"])

    surfaces.until(lambda: champion() == "popularity@2", "the refit is champion")
    assert surfaces.test("refits") == {}


def test_the_holdout_is_measured(surfaces):
    def counts() -> list[int]:
        # The next analysis is due in an hour, and one may be taken before the outcomes are there.
        surfaces.query(
            """UPDATE experiments_look SET taken_at = taken_at - interval '2 hours'
            WHERE taken_at > now() - interval '1 hour'"""
        )
        rows = surfaces.report("ramp", "holdout")["metrics"]
        return [count for row in rows for count in (row["control_n"], row["treatment_n"])]

    surfaces.until(lambda: counts() and min(counts()) > 0, "an analysis of both sides of the holdout")
    report = surfaces.report("ramp", "holdout")
    assert {row["key"] for row in report["variants"]} == {"holdout", "everyone"}
    # Too few came for an interval: it says how many are missing.
    assert report["gain"]["status"] == "unknown"
    assert "no outcomes yet" not in report["gain"]["sentence"]
