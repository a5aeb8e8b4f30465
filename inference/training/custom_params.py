"""Parameters of custom models: an endpoint over HTTP, a class of a package, or a file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inference.options import read_params
from inference.serving.endpoint import PROTOCOLS
from inference.serving.models import DEADLINE_MS, MAX_COST

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class EndpointParams:
    """Where a custom model answers over HTTP.

    Attributes:
        url: of the model; requests are POSTs.
        protocol: json, v2 for the Open Inference Protocol, or mlflow for MLflow's scoring server.
        deadline_ms: how long it may take.
        cost_per_answer: in money, for the metric `serving-cost`, where the answer does not say.
    """

    url: str = ""
    protocol: str = "json"
    deadline_ms: int = DEADLINE_MS
    cost_per_answer: float = 0.0


@dataclass(frozen=True)
class PythonParams:
    """Which class of an installed package is a custom model.

    Attributes:
        entry_point: its name under the group `bakeoff.models`.
        deadline_ms: how long it may take.
        cost_per_answer: in money, for the metric `serving-cost`.
    """

    entry_point: str = ""
    deadline_ms: int = DEADLINE_MS
    cost_per_answer: float = 0.0


@dataclass(frozen=True)
class ImportedParams:
    """Which uploaded file is a custom model.

    Attributes:
        upload: SHA-256 of the artifact that the upload is stored as.
        source: where it comes from, such as a run of MLflow; for people.
        deadline_ms: how long it may take, where a worker answers by it.
    """

    upload: str = ""
    source: dict[str, str] = field(default_factory=dict)
    deadline_ms: int = DEADLINE_MS


def read_imported(params: Mapping[str, Any]) -> ImportedParams:
    """Read and check which file is the model.

    Raises:
        ValueError: no file is named, or the deadline is out of range.
    """
    imported = read_params(ImportedParams, params)
    if not re.fullmatch(r"[0-9a-f]{64}", imported.upload):
        raise ValueError(
            f"upload == '{imported.upload:.80}', must be the SHA-256 of an upload: `bakeoff import` or "
            "POST /v1/surfaces/{key}/model-imports makes one and queues its run."
        )
    check_deadline(imported.deadline_ms)
    return imported


def read_endpoint(params: Mapping[str, Any]) -> EndpointParams:
    """Read and check where an endpoint is.

    Raises:
        ValueError: there is no such place.
    """
    endpoint = read_params(EndpointParams, params)
    if not endpoint.url.startswith(("http://", "https://")):
        raise ValueError(f"url == '{endpoint.url}', must begin with http:// or https://.")
    if endpoint.protocol not in PROTOCOLS:
        raise ValueError(f"protocol == '{endpoint.protocol}', must be one of {list(PROTOCOLS)}.")
    check_deadline(endpoint.deadline_ms)
    check_cost(endpoint.cost_per_answer)
    return endpoint


def read_python(params: Mapping[str, Any]) -> PythonParams:
    """Read and check how a class is asked; which classes there are the training process knows.

    Raises:
        ValueError: an unknown parameter, or one out of range.
    """
    python = read_params(PythonParams, params)
    check_deadline(python.deadline_ms)
    check_cost(python.cost_per_answer)
    return python


def check_cost(cost_per_answer: float) -> None:
    """Check what an answer costs.

    Raises:
        ValueError: it is negative, or more than anybody pays.
    """
    if not 0 <= cost_per_answer <= MAX_COST:
        raise ValueError(f"cost_per_answer == {cost_per_answer:g}, must be in [0, {MAX_COST:g}].")


def check_deadline(deadline_ms: int) -> None:
    """Check that a visitor can wait as long.

    Raises:
        ValueError: the deadline is out of range.
    """
    if not 1 <= deadline_ms <= 10_000:
        raise ValueError(f"deadline_ms == {deadline_ms}, must be in [1, 10000].")
