"""How anything is fitted: what every recommender and classifier gets besides its data."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Params = TypeVar("Params")


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to fit.

    Attributes:
        seed: of everything random.
        params: hyper-parameters that differ from the defaults.
        report: receives the share done and a line about it.
        curve: receives a step and the loss there.
        steps: receives how many steps there are, before the first.
        checkpoint: folder for resuming, or None.
        device: "auto", "cpu" or "cuda".
        encoder: where the encoder lies, for models that read or train it.
        language_model: folder of the causal model that generators train.
        artifacts: the store, for models whose file came from elsewhere.
    """

    seed: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    report: Callable[[float, str], None] = lambda _share, _line: None
    curve: Callable[[int, float], None] = lambda _step, _loss: None
    steps: Callable[[int], None] = lambda _steps: None
    checkpoint: Path | None = None
    device: str = "auto"
    encoder: str = ""
    language_model: str = ""
    artifacts: Path | None = None


def read_params(cls: type[Params], params: Mapping[str, Any]) -> Params:
    """Return hyper-parameters as a dataclass.

    Raises:
        ValueError: an unknown one, or one of another type.
    """
    defaults = cls()
    known = sorted(field.name for field in fields(cls))  # type: ignore[arg-type]
    for name, value in params.items():
        if name not in known:
            raise ValueError(f"parameter == '{name}', must be one of {known}.")
        wanted = type(getattr(defaults, name))
        # Exactly its type, because a bool is an int in Python; a whole number may stand for a float.
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise ValueError(f"parameter {name} == {value!r}, must be of type {wanted.__name__}.")
    return cls(**params)
