"""Rules, dashboard, docs and what /metrics says name the same metrics."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from bakeoff import platform_metrics
from bakeoff.gateway.scrape import read_registry
from tests.support.metrics import read_families, read_samples

ROOT = Path(__file__).parents[2]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((ROOT / "deploy/grafana/bakeoff.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in RULES} | {
    panel["title"]: " ".join(target["expr"] for target in panel["targets"]) for panel in PANELS
}
SUFFIXES = ("_total", "_bucket", "_sum", "_count", "")
OF_SERVERS = "bakeoff_platform_metrics_up"


@pytest.fixture(scope="module")
def families(tables):
    """What /metrics has, by name without the suffixes of samples."""
    text = read_registry().decode() + platform_metrics.read().decode()
    return {*read_families(text), OF_SERVERS}


@cache
def _documented() -> set[str]:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    return {
        name
        for row in re.findall(r"^\| (bakeoff_[^|]+) \|", page, re.MULTILINE)
        for name in row.split(", ")
    }


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"\bbakeoff_\w+", expression))


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_rules_and_panels_ask_for_what_there_is(families, title):
    known = {f"{name.removesuffix('_total')}{suffix}" for name in families for suffix in SUFFIXES}
    assert names_in(EXPRESSIONS[title]) - known == set()


FRESH = "from bakeoff.gateway.scrape import read_registry; print(read_registry().decode())"


@pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES if "increase(" in rule["expr"]])
def test_what_an_increase_is_taken_of_is_there_before_the_first_one(tables, alert):
    """From nothing to one is no increase to Prometheus: the first loss would be told to nobody."""
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True)
    samples = read_samples(done.stdout + platform_metrics.read().decode())
    for name in re.findall(r"increase\((\w+(?:\{[^}]*\})?)\[", EXPRESSIONS[alert]):
        assert samples.get(name) is not None, name


def test_the_docs_name_every_metric_and_no_other(families):
    bare = {re.sub("_(total|bucket|sum|count)$", "", name) for name in families}
    documented = {name.removesuffix("_total") for name in _documented()}
    assert documented == {name for name in bare if name.startswith("bakeoff_")}


def test_every_alert_has_its_runbook_and_every_runbook_its_alert():
    page = (ROOT / "docs" / "runbooks.md").read_text()
    sections = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    assert sorted(sections) == sorted(rule["alert"] for rule in RULES)
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_links_within_the_runbooks_lead_somewhere():
    page = (ROOT / "docs" / "runbooks.md").read_text()
    targets = set(re.findall(r"\]\(#(\w+)\)", page))
    assert targets <= {rule["alert"].lower() for rule in RULES}


def test_panels_have_places_of_their_own_and_ask_the_chosen_source():
    seen: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & seen, panel["title"]
        seen |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}
        assert panel["targets"], panel["title"]
