"""The server: tools and resources over the management API.

Guarantees: each tool is one request with the caller's key, so roles, rules, approvals by two people and
the audit trail are the API's own. Words of users and models are data: no tool acts on them.
"""

from __future__ import annotations

import difflib
import json
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import ValidationError

from bakeoff import __version__
from bakeoff.mcp_server.platform import Platform, PlatformError, segment
from bakeoff.rule_sentences import sentence_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mcp.server.mcpserver import Context
    from mcp.types import CallToolResult, InputRequiredResult

INSTRUCTIONS = """Bakeoff tests models on live traffic and promotes the better one by a valid verdict.
List surfaces and experiments first; explain_verdict has every number of a verdict. A draft takes no
traffic before start_experiment. Never stop or start an experiment that the person did not name."""
# All hints are stated: what a client assumes of an absent one is the worst. Nothing but the platform is
# reached; to start what runs, or stop what ended, is refused.
READS = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
WRITES = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)
ENDS = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=False, open_world_hint=False
)
Tool = Any
# As `experiments.kinds` has it. The protocol reads it at start, which imports nothing of `experiments`
# to be fast: only a plan without a surface does.
PlanMode = Literal["split", "interleave", "cluster", "switchback"]
Mode = Literal["split", "interleave", "bandit", "cluster", "switchback"]


class _Server(MCPServer[Any]):
    """Says which rule an argument breaks in a sentence of the platform's."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool.

        Raises:
            ToolError: an argument is unknown or breaks a rule, or the platform refuses.
        """
        await self._require_known(name, arguments)
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            faults = [
                sentence_of(one, ".".join(map(str, one["loc"])))
                for one in error.__cause__.errors(include_url=False)
            ]
            raise ToolError(" ".join(faults)) from error

    async def _require_known(self, name: str, arguments: dict[str, Any]) -> None:
        """Refuse a name that no argument has: it would be left out without a word."""
        tools = {tool.name: tool for tool in await self.list_tools()}
        known = list(tools[name].input_schema.get("properties", {})) if name in tools else []
        for one in arguments:
            if name in tools and one not in known:
                near = difflib.get_close_matches(one[:100], known, n=1)
                hint = (
                    f"Did you mean '{near[0]}'?" if near else f"It has: {', '.join(known) or 'none'}."
                )
                raise ToolError(f"{one[:100]}: {name} has no such argument. {hint}")


def make_server(url: str, key: str, *, read_only: bool = False) -> MCPServer[Any]:
    """Return a server for one platform and key.

    Args:
        url: of the platform.
        key: whose role every tool has.
        read_only: leave out what changes something.
    """
    platform = Platform(url, key)
    server: MCPServer[Any] = _Server("bakeoff", version=__version__, instructions=INSTRUCTIONS)
    for tool in (*_lists(platform), *_answers(platform)):
        server.tool(annotations=READS)(_refusing(tool))
    if not read_only:
        server.tool(annotations=WRITES)(_refusing(_create_draft(platform)))
        server.tool(annotations=WRITES)(_refusing(_start(platform)))
        server.tool(annotations=ENDS)(_refusing(_stop(platform)))

    @server.resource("bakeoff://experiments/{key}/report", mime_type="application/json")
    async def report(key: str) -> str:
        """Give the whole report of an experiment as JSON."""
        return json.dumps(await platform.get(f"/v1/experiments/{segment(key)}/report.json"))

    for prompt in _prompts():
        server.prompt()(prompt)
    return server


def _prompts() -> list[Callable[..., str]]:
    """Return what a person can ask an agent for by name."""

    def explain_experiment(experiment: str) -> str:
        """Explain what an experiment says, and whether it can be trusted."""
        return (
            f"Call explain_verdict for experiment {experiment!r}. Say in plain words what was decided, "
            "how large the effect is with its interval, whether split and guardrails are well, and "
            "what comes next. Name only numbers of the answer. If there is no verdict yet, say what is "
            "missing: a trend is no verdict."
        )

    def plan_test(surface: str, idea: str) -> str:
        """Plan a test of an idea on a surface, and leave it as a draft."""
        return (
            f"Plan a test of this idea on surface {surface!r}: {idea!r}. List its models and metrics. "
            "Ask for the smallest lift worth shipping, call plan_experiment with the surface and a "
            "mode, and name users and weeks. Then create a draft with its mode and planned_units. "
            "Do not start it."
        )

    return [explain_experiment, plan_test]


def _refusing(tool: Callable[..., Awaitable[Any]]) -> Tool:
    """Let a refusal be the tool's error, in the platform's sentence."""

    @wraps(tool)
    async def call(*arguments: Any, **fields: Any) -> Any:
        try:
            return await tool(*arguments, **fields)
        except PlatformError as error:
            raise ToolError(str(error)) from error

    return call


def _lists(platform: Platform) -> list[Callable[..., Awaitable[Any]]]:
    """Return the tools that say what the project has."""

    async def list_surfaces() -> list[dict[str, Any]]:
        """List the project's surfaces: their kinds and champions."""
        rows = await platform.get("/v1/surfaces", limit=1000)
        return [{name: row[name] for name in ("key", "kind", "champion")} for row in rows]

    async def list_experiments(state: str | None = None) -> list[dict[str, Any]]:
        """List experiments, newest first; state: draft, running or ended."""
        rows = await platform.get("/v1/experiments", state=state, limit=100)
        names = ("key", "name", "surface", "state", "purpose", "started_at", "ended_at")
        return [{name: row[name] for name in names} for row in rows]

    async def list_metrics() -> list[dict[str, Any]]:
        """List metrics: what each counts, and which change is good."""
        rows = await platform.get("/v1/metrics", limit=1000)
        return [{name: row[name] for name in ("key", "kind", "event", "direction")} for row in rows]

    async def list_models(surface: str) -> list[dict[str, Any]]:
        """List a surface's model versions, newest first, with what the gate measured and decided."""
        rows = await platform.get(f"/v1/surfaces/{segment(surface)}/models")
        names = ("label", "alias", "created_at", "gate", "promoted_against")
        return [{name: row[name] for name in names} for row in rows]

    return [list_surfaces, list_experiments, list_metrics, list_models]


def _answers(platform: Platform) -> list[Callable[..., Awaitable[Any]]]:
    """Return the tools that explain, plan and try out."""

    async def explain_verdict(experiment: str) -> dict[str, Any]:
        """Explain a verdict by the numbers of its record: effect, interval, units, health."""
        report = await platform.get(f"/v1/experiments/{segment(experiment)}/report.json")
        names = (
            "experiment", "state", "verdict", "policy", "planned_units", "srm", "units", "variants",
            "metrics", "decisions", "warnings", "remaining",
        )  # fmt: skip
        return {name: report[name] for name in names}

    async def plan_experiment(  # noqa: PLR0913, PLR0917  an agent names what it knows
        min_lift: float,
        mode: PlanMode = "split",
        surface: str | None = None,
        metric: str | None = None,
        cluster_by: str | None = None,
        block_seconds: float | None = None,
        carry_over_seconds: float | None = None,
        baseline: float | None = None,
        users_per_day: float | None = None,
    ) -> dict[str, Any]:
        """Plan a test: how many users and weeks it needs to find a relative lift.

        Name a surface, and its own traffic of the last week is used. mode: split users; interleave
        lists; cluster (name cluster_by, such as store); switchback (name block_seconds and
        carry_over_seconds). Without a surface a proportion is planned from its baseline and
        users_per_day, in mode split.
        """
        if surface is None:
            beside = {"metric": metric, "cluster_by": cluster_by, "block_seconds": block_seconds,
                      "carry_over_seconds": carry_over_seconds}  # fmt: skip
            return _plan_proportion(mode, min_lift, baseline, users_per_day, beside)
        if baseline is not None or users_per_day is not None:
            message = "baseline and users_per_day must be absent with a surface: its traffic says them."
            raise PlatformError(message)
        answer: dict[str, Any] = await platform.get(
            f"/v1/surfaces/{segment(surface)}/plan", min_lift=min_lift, mode=mode, metric=metric,
            cluster_by=cluster_by, block_seconds=block_seconds, carry_over_seconds=carry_over_seconds,
        )  # fmt: skip
        return answer

    async def recommend(surface: str, user: str, k: int = 10) -> dict[str, Any]:
        """Show what a user is recommended, and by which model; nothing is recorded."""
        body = {
            "surface": surface, "unit_id": user, "k": k,
            "consent": {"analytics": False, "training": False},
        }  # fmt: skip
        answer: dict[str, Any] = await platform.post("/v1/recommend", body)
        return answer

    return [explain_verdict, plan_experiment, recommend]


def _plan_proportion(
    mode: str,
    min_lift: float,
    baseline: float | None,
    users_per_day: float | None,
    beside: Mapping[str, object],
) -> dict[str, Any]:
    """Return a plan from stated numbers, without a surface.

    Raises:
        PlatformError: a value is missing, breaks a rule or needs a surface.
    """
    # NumPy is slow to import, and an agent waits for the server's start: no other tool needs it.
    from experiments.scorecards.plan import PlanQuestion, plan  # noqa: PLC0415
    from experiments.stats.totals import StatisticsError  # noqa: PLC0415

    named = [name for name, value in beside.items() if value is not None]
    if mode != "split" or named:
        what = ", ".join([*([f"mode == '{mode}'"] if mode != "split" else []), *named])
        raise PlatformError(f"{what}: must be planned with a surface, from its own traffic.")
    if baseline is None or users_per_day is None:
        raise PlatformError("surface, or baseline and users_per_day, must be named.")
    question = PlanQuestion(
        kind="proportion",
        baseline=baseline,
        shares=(0.5, 0.5),
        mde=min_lift,
        traffic=(users_per_day,),
    )
    try:
        return plan(question).as_json()
    except StatisticsError as error:
        raise PlatformError(str(error)) from error


def _create_draft(platform: Platform) -> Callable[..., Awaitable[Any]]:
    async def create_draft(  # noqa: PLR0913, PLR0917  an agent names what it knows
        key: str,
        surface: str,
        control: str,
        treatment: str,
        metric: str,
        hypothesis: str = "",
        name: str = "",
        mode: Mode = "split",
        planned_units: int | None = None,
        allocation: float = 1.0,
        guardrails: dict[str, float] | None = None,
        cluster_by: str | None = None,
        block_seconds: float | None = None,
        carry_over_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Create a draft of two model versions (such as two-tower@7); it takes no traffic yet.

        From plan_experiment: mode, planned_units, and what that mode names (cluster_by; block_seconds
        and carry_over_seconds). allocation: share of the traffic that takes part. guardrails: the
        relative loss that each of these metrics may show, such as {"purchases": 0.02}.
        """
        sides = (("control", control), ("treatment", treatment))
        policy = {"planned_units": planned_units, "cluster_by": cluster_by,
                  "block_seconds": block_seconds, "carry_over_seconds": carry_over_seconds}  # fmt: skip
        body = {
            "key": key,
            "surface": surface,
            "name": name,
            "hypothesis": hypothesis,
            "mode": mode,
            "allocation": allocation,
            "policy": {field: value for field, value in policy.items() if value is not None},
            "variants": [
                {"key": side, "model": model, "weight": 0.5, "is_control": side == "control"}
                for side, model in sides
            ],
            "metrics": [
                {"metric": metric},
                *(
                    {"metric": guardrail, "role": "guardrail", "margin": margin}
                    for guardrail, margin in (guardrails or {}).items()
                ),
            ],
        }
        draft: dict[str, Any] = await platform.post("/v1/experiments", body)
        return draft

    return create_draft


def _start(platform: Platform) -> Callable[..., Awaitable[Any]]:
    async def start_experiment(experiment: str) -> dict[str, Any]:
        """Start a draft: its rule is fixed and traffic is split. Ask the person first."""
        path = f"/v1/experiments/{segment(experiment)}/start"
        started: dict[str, Any] = await platform.post(path)
        return started

    return start_experiment


def _stop(platform: Platform) -> Callable[..., Awaitable[Any]]:
    async def stop_experiment(experiment: str, reason: str) -> dict[str, Any]:
        """Stop an experiment for good, without a verdict. Ask the person first."""
        path = f"/v1/experiments/{segment(experiment)}/stop"
        decision: dict[str, Any] = await platform.post(path, {"reason": reason})
        return decision

    return stop_experiment
