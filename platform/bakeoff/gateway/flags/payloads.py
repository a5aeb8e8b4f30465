"""Rules for clients that evaluate by themselves: GrowthBook's SDKs, and our own clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bakeoff.accounts.keys import SECRET
from bakeoff.gateway.http.routes import Answer
from bakeoff.gateway.http.validators import etag_matches, validators
from experiments.assignment.flags import NO_FLAGS
from experiments.assignment.payload import feature_of
from experiments.assignment.rules_payload import rule_to_json

if TYPE_CHECKING:
    from bakeoff.gateway.config.serving_config import KeyConfig, ServingConfig
    from bakeoff.gateway.http.door import Call
    from experiments.assignment import RunningExperiment

GROWTHBOOK = "growthbook_v2"


async def answer_features(call: Call) -> Answer:
    """Answer with GrowthBook's payload."""
    headers = [(b"x-sse-support", b"enabled"), (b"cache-control", b"no-cache")]
    return Answer(200, growthbook_payload(call.config, call.caller.key), headers)


async def answer_rules(call: Call) -> Answer:
    """Answer with all rules, for our own clients; 304 when they have not changed.

    A public key learns of a rule that names people only that it must ask.
    """
    key = call.caller.key
    flags = call.config.flags.get(key.project_id, NO_FLAGS)
    hidden = frozenset() if key.kind == SECRET else flags.personal
    # Two keys may read two answers at one address: a cache must not hand one to the other.
    etag = f'"{flags.etag}{"" if hidden else "-all"}"'
    headers = validators(etag)
    if etag_matches(call.request.header(b"if-none-match"), etag):
        return Answer(304, b"", headers)
    body = {
        "running": [
            # What is stored of a unit, a client cannot know: it must ask.
            {"key": e.key, "remote": True}
            if e.key in hidden
            else rule_to_json(e.rule) | {"remote": e.needs_lookup}
            for e in flags.running.values()
        ],
        "shipped": {
            name: {"variant": flag.variant, "value": flag.value}
            for name, flag in flags.resting.items()
            if flag.variant
        },
    }
    return Answer(200, orjson.dumps(body), headers)


def growthbook_payload(config: ServingConfig, key: KeyConfig) -> bytes:
    """Return GrowthBook's payload: experiments that are hashed its way, and what was shipped."""
    flags = config.flags.get(key.project_id, NO_FLAGS)
    features = {
        name: feature_of(
            experiment.rule, flags.rules, phase=experiment.epoch, sticky=_sticky_versions(experiment)
        )
        for name, experiment in flags.running.items()
        if experiment.rule.hashing == GROWTHBOOK and name not in flags.personal
    }
    # To a client these say nothing: they are evaluated here, by OFREP.
    features |= {name: {"defaultValue": None} for name in flags.personal}
    features |= {
        name: {"defaultValue": None, "rules": [{"force": flag.value}]}
        for name, flag in flags.resting.items()
        if flag.variant
    }
    return orjson.dumps({"status": 200, "features": features, "savedGroups": {}})


def _sticky_versions(experiment: RunningExperiment) -> tuple[int, int] | None:
    """Return GrowthBook's bucket versions of a sticky experiment: remembered since, blocked before."""
    memory = experiment.memory
    return (memory.since, memory.blocked_before) if memory.sticky else None
