"""Official SDKs, unmodified, against a running server: OpenFeature's providers and GrowthBook's clients."""

from __future__ import annotations

import json
import os
import random
import subprocess

import pytest
from growthbook import GrowthBook
from openfeature import api as openfeature
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from experiments.actions.change_shares import Change, change_shares
from experiments.actions.stop_experiment import ship_experiment
from experiments.actions.switch_experiment import switch
from experiments.assignment import UNKNOWN_UNIT, decide
from experiments.models import Exposure, Holdout, Layer, SavedGroup
from tests.support import builders
from tests.support.npm import install

# "make test" asks about some thousands; BAKEOFF_TEST_UNITS=100000 is the full proof.
UNITS = int(os.environ.get("BAKEOFF_TEST_UNITS", "4000"))
COUNTRIES = ("DE", "FR", "US", "日本", "")
PACKAGES = (
    "@growthbook/growthbook@1.8.0",
    "@openfeature/core@1.12.0",
    "@openfeature/web-sdk@1.10.0",
    "@openfeature/ofrep-web-provider@0.4.3",
)

GROWTHBOOK_JS = """
import { GrowthBook } from "@growthbook/growthbook";
import { readFileSync } from "node:fs";
const [url, key, file] = process.argv.slice(2);
const exposures = [];
const gb = new GrowthBook({
  apiHost: url, clientKey: key,
  trackingCallback: (experiment, result) => exposures.push([result.hashValue, experiment.key, result.key]),
});
await gb.init({ timeout: 5000 });
const asked = JSON.parse(readFileSync(file, "utf8"));
const found = [];
for (const one of asked) {
  await gb.setAttributes(one.attributes);
  found.push(one.flags.map((flag) => {
    const result = gb.evalFeature(flag);
    return result.experimentResult?.inExperiment ? result.experimentResult.key : null;
  }));
}
for (const [unit, experiment, variant] of exposures.slice(0, 50)) {
  await fetch(`${url}/v1/track`, {
    method: "POST", headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` },
    body: JSON.stringify({ userId: unit, event: "Experiment Viewed", messageId: `${unit}-${experiment}`,
      properties: { experiment_id: experiment, variation_id: variant } }),
  });
}
process.stdout.write(JSON.stringify(found), () => process.exit(0));
"""

OFREP_JS = """
import { OpenFeature } from "@openfeature/web-sdk";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { readFileSync } from "node:fs";
const [url, key, file] = process.argv.slice(2);
const provider = new OFREPWebProvider({ baseUrl: url, headers: [["Authorization", `Bearer ${key}`]], pollInterval: -1 });
const found = [];
for (const { attributes, flags } of JSON.parse(readFileSync(file, "utf8"))) {
  const { id, ...rest } = attributes;
  await (found.length ? OpenFeature.setContext({ targetingKey: id, ...rest })
                      : OpenFeature.setProviderAndWait(provider, { targetingKey: id, ...rest }));
  const client = OpenFeature.getClient();
  found.push(flags.map((flag) => {
    const said = client.getStringDetails(flag, "code default");
    return [said.value, said.errorCode ?? null];
  }));
}
process.stdout.write(JSON.stringify(found), () => process.exit(0));
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A folder with the clients from npm."""
    folder = install(tmp_path_factory.mktemp("node"), *PACKAGES)

    def execute(script, lane, shop, questions):
        (folder / "script.js").write_text(script)
        (folder / "asked.json").write_text(json.dumps(questions))
        done = subprocess.run(
            ["node", "script.js", lane.url, shop.public, "asked.json"],
            cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return execute


@pytest.fixture
def world(lane, shop, page):
    """Experiments with every rule that GrowthBook's clients must follow."""
    layer = Layer.objects.create(project=shop.project, key="layer")
    Holdout.objects.create(project=shop.project, share=0.05)
    theirs = {"hashing": "growthbook_v2"}
    builders.experiment(shop, page, "plain", **theirs)
    reweighed = builders.experiment(
        shop, page, "reweighed", weights=(0.5, 0.5), allocation=0.6, **theirs
    )
    change_shares(
        experiment=reweighed,
        change=Change(weights={"control": 0.2, "treatment": 0.8}, accept_moves=True),
        by="a test",
    )
    for key, slot in (("low", (0.0, 0.4)), ("high", (0.4, 1.0))):
        builders.experiment(shop, page, key, layer=layer, slot=slot, **theirs)
    condition = {
        "$or": [{"country": {"$in": ["DE", "日本"]}}, {"age": {"$gte": 40}}],
        "version": {"$vgte": "2.10.0"},
        "name": {"$regex": "^[a-m]"},
        "tags": {"$elemMatch": {"$eq": "beta"}},
    }
    builders.experiment(shop, page, "targeted", condition=condition, **theirs)
    child = [{"experiment": "plain", "variants": ["treatment"]}]
    builders.experiment(shop, page, "child", prerequisites=child, values=({"a": 1}, {"a": 2}), **theirs)
    switch(experiment=builders.experiment(shop, page, "off", **theirs), enabled=False, by="a test")
    lane.refresh()
    return ["plain", "reweighed", "low", "high", "targeted", "child", "off"]


def people(count):
    rng = random.Random(1)
    for n in range(count):
        yield {
            "id": f"u{n}" if n < 20 else rng.choice([f"user-{rng.random()}", "ü" * rng.randint(1, 30), f"{rng.getrandbits(128):032x}"]),
            "country": rng.choice(COUNTRIES),
            "age": rng.randint(1, 90),
            "version": f"{rng.randint(1, 3)}.{rng.randint(0, 12)}.{rng.randint(0, 3)}",
            "name": rng.choice("abcxyz") + "da",
            "tags": rng.sample(["beta", "news", "x"], rng.randint(0, 3)),
        }  # fmt: skip


def ours(lane, shop, person, flags):
    """What the server says: forced units have no experiment in GrowthBook's words."""
    live = lane.gateway._config.current.flags[shop.project.pk]
    answers = []
    for flag in flags:
        attributes = {name: value for name, value in person.items() if name != "id"}
        decision = decide(
            live.running[flag], person["id"], attributes, others=live.rules, record=UNKNOWN_UNIT
        )
        answers.append(None if decision.forced else decision.variant)
    return answers


def test_growthbooks_python_client_agrees(lane, shop, world):
    payload = lane.client.get(f"/api/features/{shop.public}").json()
    client = GrowthBook(features=payload["features"], savedGroups=payload["savedGroups"])
    seen = set()
    for person in people(UNITS):
        client.set_attributes(person)
        theirs = []
        for flag in world:
            result = client.eval_feature(flag).experimentResult
            theirs.append(result.key if result is not None and result.inExperiment else None)
        mine = ours(lane, shop, person, world)
        assert theirs == mine, person
        seen |= set(zip(world, mine, strict=True))
    # Both variants and none of each, nobody in what is off.
    both = {(flag, variant) for flag in world[:6] for variant in ("control", "treatment", None)}
    assert seen >= both | {("off", None)}
    assert ("off", "control") not in seen


def test_rules_that_name_people_are_asked_of_the_platform(lane, shop, page):
    """GrowthBook's client, which cannot ask, keeps the code's default."""
    SavedGroup.objects.create(project=shop.project, key="staff", attribute="id", values=["u1", "u2"])
    builders.experiment(
        shop,
        page,
        "grouped",
        condition={"$savedGroup": {"id": "staff"}},
        forced_units={"u5": "treatment"},
        hashing="growthbook_v2",
    )
    lane.refresh()
    payload = lane.client.get(f"/api/features/{shop.public}").json()
    client = GrowthBook(features=payload["features"], savedGroups=payload["savedGroups"])
    openfeature.set_provider(
        OFREPProvider(lane.url, headers_factory=lambda: {"Authorization": f"Bearer {shop.public}"})
    )
    remote = openfeature.get_client()
    for unit in ("u1", "u2", "u5", "u9"):
        client.set_attributes({"id": unit})
        assert client.get_feature_value("grouped", "default") == "default"
        details = remote.get_string_details("grouped", "default", EvaluationContext(unit, {}))
        assert (details.value == "default") == (unit == "u9")
    openfeature.shutdown()


def test_growthbooks_browser_client_agrees_and_its_exposures_arrive(lane, shop, world, node):
    questions = [{"attributes": person, "flags": world} for person in people(UNITS)]
    answers = node(GROWTHBOOK_JS, lane, shop, questions)
    for one, theirs in zip(questions, answers, strict=True):
        assert theirs == ours(lane, shop, one["attributes"], world), one
    assert Exposure.objects.filter(project=shop.project).count() == 50


def test_openfeatures_web_provider_reads_our_flags(lane, shop, world, node):
    flags = ["plain", "targeted", "off", "nobody"]
    questions = [{"attributes": person, "flags": flags} for person in people(40)]
    answers = node(OFREP_JS, lane, shop, questions)
    for one, theirs in zip(questions, answers, strict=True):
        for flag, variant, (value, error) in zip(
            flags, [*ours(lane, shop, one["attributes"], flags[:3]), None], theirs, strict=True
        ):
            assert value == ({"control": "blue", "treatment": "green"}.get(variant, "code default"))
            assert (error == "FLAG_NOT_FOUND") == (flag == "nobody")


def test_openfeatures_python_provider_reads_our_flags(lane, shop, page):
    builders.experiment(shop, page, "rate", values=(10.0, 12.5))
    builders.experiment(shop, page, "size", values=({"w": 1}, {"w": 2}))
    builders.experiment(shop, page, "on", values=(True, False))
    ship_experiment(
        experiment=builders.experiment(shop, page, "count", values=(3, 4)),
        variant="treatment",
        by="a test",
    )
    lane.refresh()
    openfeature.set_provider(
        OFREPProvider(lane.url, headers_factory=lambda: {"Authorization": f"Bearer {shop.public}"})
    )
    client = openfeature.get_client()
    context = EvaluationContext("u1", {"country": "DE"})
    assert client.get_float_details("rate", 1.0, context).reason == Reason.SPLIT
    assert client.get_float_value("rate", 1.0, context) in {10.0, 12.5}
    assert client.get_object_value("size", {}, context) in ({"w": 1}, {"w": 2})
    assert client.get_boolean_details("on", True, context).variant in {"control", "treatment"}
    assert client.get_integer_details("count", 0).value == 4
    assert client.get_string_details("nobody", "x", context).error_code == ErrorCode.FLAG_NOT_FOUND
    assert client.get_boolean_details("on", True).error_code == ErrorCode.TARGETING_KEY_MISSING
    openfeature.shutdown()
