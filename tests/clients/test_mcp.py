"""The official MCP client against our server, which asks a real platform."""

from __future__ import annotations

import asyncio
import json
import os
import re

import pytest
from mcp import Client, MCPError, StdioServerParameters

from bakeoff.accounts.keys import SECRET
from bakeoff.accounts.models import ApiKey, AuditEntry
from bakeoff.mcp_server import server
from bakeoff.mcp_server.server import make_server
from experiments import kinds
from experiments.actions.look_at_experiment import look_at_experiment
from experiments.ingest.rows import Rows
from experiments.models import Slate
from tests.support import builders
from tests.support.console import SCRIPT

READS = {
    "list_surfaces", "list_experiments", "list_metrics", "list_models", "explain_verdict", "plan_experiment", "recommend",
}  # fmt: skip
WRITES = {"create_draft", "start_experiment", "stop_experiment"}


def use(server, steps):
    """Run steps of an agent; `ask` returns what a tool says, or its error."""

    async def run():
        async with Client(server) as client:

            async def ask(tool, **fields):
                result = await client.call_tool(tool, fields)
                if result.is_error:
                    return result.content[0].text
                content = result.structured_content
                return content["result"] if content and set(content) == {"result"} else content

            return await steps(client, ask)

    return asyncio.run(run())


def names(server) -> set[str]:
    async def steps(client, _ask):
        return {tool.name for tool in (await client.list_tools()).tools}

    return use(server, steps)


def test_it_lists_its_tools(lane, shop):
    assert names(make_server(lane.url, shop.secret)) == READS | WRITES
    assert names(make_server(lane.url, shop.secret, read_only=True)) == READS


def test_each_tool_says_by_every_hint_what_it_may_do(lane, shop):
    async def steps(client, _ask):
        tools = (await client.list_tools()).tools
        return {one.name: one.annotations.model_dump(by_alias=True, exclude_none=True) for one in tools}

    hints = use(make_server(lane.url, shop.secret), steps)
    assert {name for name, one in hints.items() if one["readOnlyHint"]} == READS
    assert {name for name, one in hints.items() if one["destructiveHint"]} == {"stop_experiment"}
    for one in hints.values():
        assert set(one) == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}


def test_a_wrong_argument_is_told_its_rule(lane, shop):
    async def steps(_client, ask):
        return [
            await ask("list_models"),
            await ask("plan_experiment", min_lift="much", mode="splitt"),
            await ask("recommend", surface="home-feed", user="u1", kk=3),
            await ask("list_surfaces", state="running"),
        ]

    missing, kinds_, unknown, none = use(make_server(lane.url, shop.secret), steps)
    assert missing == "surface is missing, must be stated."
    assert "min_lift == 'much', must be a number." in kinds_
    assert "mode == 'splitt', must be 'split', 'interleave', 'cluster' or 'switchback'." in kinds_
    assert unknown == "kk: recommend has no such argument. Did you mean 'k'?"
    assert none == "state: list_surfaces has no such argument. It has: none."
    for text in (missing, kinds_, unknown, none):
        assert "pydantic" not in text


def test_an_agent_creates_starts_explains_and_stops(lane, shop):
    rival = builders.make_version(shop.surface, [1] * 10).label

    async def steps(client, ask):
        assert [one["key"] for one in await ask("list_surfaces")] == ["home-feed"]
        models = {one["label"]: one for one in await ask("list_models", surface="home-feed")}
        assert set(models) == {shop.champion.label, rival}
        assert "gate" in models[rival]
        assert (await ask("list_metrics"))[0]["key"] == "clicks"
        draft = await ask(
            "create_draft",
            key="trial",
            surface="home-feed",
            control=shop.champion.label,
            treatment=rival,
            metric="clicks",
        )
        assert draft["state"] == "draft"
        assert (await ask("start_experiment", experiment="trial"))["state"] == "running"
        assert [one["key"] for one in await ask("list_experiments", state="running")] == ["trial"]
        explained = await ask("explain_verdict", experiment="trial")
        (resource,) = (await client.read_resource("bakeoff://experiments/trial/report")).contents
        report = json.loads(resource.text)
        assert explained["verdict"] == report["verdict"]
        assert explained["metrics"] == report["metrics"]
        assert "wrong_state" in await ask("start_experiment", experiment="trial")
        assert (await ask("stop_experiment", experiment="trial", reason="the person asked"))["action"]

    use(make_server(lane.url, shop.secret), steps)
    acts = AuditEntry.objects.filter(project=shop.project, actor__startswith="key sk_")
    assert set(acts.values_list("action", flat=True)) >= {"define", "start"}


def test_it_explains_a_verdict_by_its_numbers(lane, shop):
    experiment = shop.run_experiment(**builders.QUICK_POLICY)
    builders.visits(experiment, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=experiment.pk)

    async def steps(_client, ask):
        return await ask("explain_verdict", experiment=experiment.key)

    explained = use(make_server(lane.url, shop.secret, read_only=True), steps)
    assert (explained["verdict"]["action"], explained["verdict"]["units"]) == ("ship", 400)
    assert explained["verdict"]["effect"] == pytest.approx(2 / 3)
    (decision,) = explained["decisions"]
    assert decision["sha256"] == experiment.decisions.get().sha256


def test_what_the_key_may_not_is_refused_in_a_sentence(lane, shop):
    _, key = ApiKey.make(shop.project, SECRET, name="serves", scopes=["serve"])
    lane.refresh()
    before = Slate.objects.filter(project_id=shop.project.pk).count()

    async def steps(_client, ask):
        assert "scope_needed: scopes == ['serve'], must hold 'read'" in await ask("list_experiments")
        assert "scope_needed" in await ask("stop_experiment", experiment="trial", reason="x")
        assert (await ask("recommend", surface="home-feed", user="u1", k=2))[
            "model"
        ] == shop.champion.label
        assert "Did you mean 'home-feed'" in await ask("recommend", surface="home-fed", user="u1")
        assert "days" in await ask("plan_experiment", baseline=0.1, min_lift=0.05, users_per_day=4000)
        assert "proportion == 2, must be in (0, 1)" in await ask(
            "plan_experiment", baseline=2, min_lift=0.05, users_per_day=4000
        )

        assert "must be named" in await ask("plan_experiment", min_lift=0.05, baseline=0.1)
        assert "mode == 'cluster', cluster_by: must be planned with a surface" in await ask(
            "plan_experiment", min_lift=0.05, mode="cluster", cluster_by="store"
        )

    use(make_server(lane.url, key), steps)
    assert Slate.objects.filter(project_id=shop.project.pk).count() == before

    async def away(_client, ask):
        return await ask("list_surfaces")

    assert "does not answer" in use(make_server("http://127.0.0.1:9", key), away)


def test_it_names_the_modes_that_can_be_planned():
    assert server.PlanMode == kinds.PlanMode
    assert server.Mode == kinds.Mode


def test_it_plans_in_every_mode_as_the_api_does(lane, shop):
    rival = builders.make_version(shop.surface, [1] * 10).label
    shop.project.metrics.create(key="buys", kind="mean", event="buy")
    for number in range(40):
        builders.make_slate(shop, f"u{number}", context={"store": f"s{number // 2}"})
    rows = Rows(events=[builders.event(shop.project, unit=f"u{n}", event_id=f"e{n}") for n in range(9)])
    builders.write(rows)

    async def steps(_client, ask):
        planned, drafts = {}, {}
        for mode in ("split", "interleave"):
            planned[mode] = await ask(
                "plan_experiment", surface="home-feed", min_lift=0.5, mode=mode, metric="clicks"
            )
            drafts[mode] = await ask(
                "create_draft", key=f"by-{mode}", surface="home-feed", control=shop.champion.label,
                treatment=rival, metric="clicks", name="Newer first", mode=mode, allocation=0.5,
                planned_units=planned[mode]["planned_units"], guardrails={"buys": 0.02} if mode == "split" else None,
            )  # fmt: skip
        refusals = [
            await ask("plan_experiment", surface="home-feed", min_lift=0.5, **fields)
            for fields in (
                {"mode": "cluster", "cluster_by": "store"},
                {"mode": "switchback", "block_seconds": 300, "carry_over_seconds": 60},
                {"mode": "bandit"},
                {"baseline": 0.1},
                {"mode": "interleave", "cluster_by": "store"},
            )
        ]
        return planned, drafts, refusals

    planned, drafts, refusals = use(make_server(lane.url, shop.secret), steps)
    headers = {"Authorization": f"Bearer {shop.secret}"}
    for mode, answer in planned.items():
        path = f"/v1/surfaces/home-feed/plan?min_lift=0.5&mode={mode}&metric=clicks"
        expected = lane.client.get(path, headers=headers).json()
        assert (answer["mode"], answer["planned_units"]) == (mode, expected["planned_units"])
        draft = drafts[mode]
        assert isinstance(draft, dict), draft
        assert (draft["mode"], draft["policy"]["planned_units"]) == (mode, expected["planned_units"])
        assert (draft["name"], draft["allocation"]) == ("Newer first", 0.5)
    (guardrail,) = drafts["split"]["metrics"][1:]
    assert (guardrail["metric"], guardrail["role"], guardrail["margin"]) == ("buys", "guardrail", 0.02)
    assert planned["interleave"]["planned_units"] < planned["split"]["planned_units"]
    for words, refusal in zip(
        (
            "clusters that take part == 20 of last week's 20, must be at least 40",
            "past blocks of 300 s with users ==",
            "'cluster' or 'switchback'",
            "must be absent with a surface",
            "cluster_by == 'store', must be empty",
        ),
        refusals,
        strict=True,
    ):
        assert words in refusal, refusal


@pytest.mark.parametrize("name", ["../keys", "trial?x=1", "a/b"])
def test_a_name_leads_to_no_other_path(lane, shop, name):
    async def steps(_client, ask):
        return await ask("explain_verdict", experiment=name)

    assert "not_found" in use(make_server(lane.url, shop.secret), steps)


def test_prompts_name_tools_that_there_are(lane, shop):
    async def steps(client, _ask):
        prompts = {one.name: one for one in (await client.list_prompts()).prompts}
        needed = {name: {one.name for one in prompts[name].arguments} for name in prompts}
        assert needed == {"explain_experiment": {"experiment"}, "plan_test": {"surface", "idea"}}
        explain = await client.get_prompt("explain_experiment", {"experiment": "trial"})
        planned = await client.get_prompt("plan_test", {"surface": "home-feed", "idea": "newer first"})
        with pytest.raises(MCPError):
            await client.get_prompt("plan_test", {"surface": "home-feed"})
        with pytest.raises(MCPError):
            await client.get_prompt("no_such_prompt")
        return [one.messages[0].content.text for one in (explain, planned)]

    explain, planned = use(make_server(lane.url, shop.secret), steps)
    assert "explain_verdict for experiment 'trial'" in explain
    assert "plan_experiment" in planned
    assert "'newer first'" in planned


def test_the_console_script_serves_an_agent_over_its_standard_streams(lane, shop):
    experiment = shop.run_experiment(**builders.QUICK_POLICY)
    builders.visits(experiment, {"control": 1, "treatment": 2})
    look_at_experiment(experiment_id=experiment.pk)
    # As an agent's settings name it: the key in the environment, nothing but messages on the streams.
    server = StdioServerParameters(
        command=str(SCRIPT),
        args=["mcp", "--url", lane.url],
        env={**os.environ, "BAKEOFF_KEY": shop.public},
    )

    async def refused(client, ask):
        tools = {one.name: one for one in (await client.list_tools()).tools}
        assert set(tools) == READS | WRITES
        assert tools["stop_experiment"].annotations.destructive_hint
        return await ask("explain_verdict", experiment=experiment.key)

    assert "a secret key is needed" in use(server, refused)
    server.env = {**os.environ, "BAKEOFF_KEY": shop.secret}
    server.args.append("--read-only")

    async def explain(client, ask):
        assert {one.name for one in (await client.list_tools()).tools} == READS
        assert "start_experiment" in await ask("start_experiment", experiment=experiment.key)
        return await ask("explain_verdict", experiment=experiment.key)

    explained = use(server, explain)
    assert explained["verdict"]["action"] == "ship"
    assert explained["decisions"][0]["sha256"] == experiment.decisions.get().sha256


def test_a_model_that_is_pointed_at_a_platform_finds_its_interfaces(lane):
    answer = lane.client.get("/llms.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    addresses = re.findall(r"\]\((\S+?)\)", answer.text)
    assert len(addresses) == 5
    for address in addresses:
        assert address.startswith(lane.url)
        # Help is 503 where its site is not built.
        possible = {200, 503} if address.endswith("/help/") else {200}
        assert lane.client.get(address).status_code in possible, address
