"""How anything is fitted: what every recommender and classifier gets besides its data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np

Params = TypeVar("Params")
BOUNDS, DRAWN = "bounds", "drawn"  # in the metadata of a dataclass field


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


class ParamError(ValueError):
    """A hyper-parameter that is unknown, of another type or out of its range.

    Attributes:
        name: of the parameter.
    """

    def __init__(self, name: str, message: str) -> None:
        """Name the parameter and say which rule it breaks."""
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which values a hyper-parameter may have; a number that has any limit must be finite too.

    Attributes:
        low: at least this; None: no such limit.
        above: more than this; None likewise.
        high: at most this; None likewise.
        choices: one of these; empty: any.
    """

    low: float | None = None
    above: float | None = None
    high: float | None = None
    choices: Sequence[str] = ()

    def allow(self, value: Any) -> bool:
        """Whether a value of the right type is in range."""
        if self.choices:
            return value in self.choices
        if self == UNBOUNDED or not isinstance(value, int | float):
            return True
        return (
            is_finite(value)
            and (self.low is None or value >= self.low)
            and (self.above is None or value > self.above)
            and (self.high is None or value <= self.high)
        )

    @property
    def rule(self) -> str:
        """What a value must be, such as "at least 1 and at most 100"."""
        if self.choices:
            return f"one of {list(self.choices)}"
        parts = [
            f"{words} {limit:,.10g}"
            for words, limit in (("at least", self.low), ("above", self.above), ("at most", self.high))
            if limit is not None
        ]
        return " and ".join(parts)


UNBOUNDED = Bounds()


@dataclass(frozen=True, slots=True)
class Span:
    """From where a search draws a hyper-parameter: evenly on a logarithmic scale between two ends.

    Attributes:
        low: least, above 0.
        high: largest.
    """

    low: float
    high: float

    def draw(self, rng: np.random.Generator, *, whole: bool) -> float | int:
        """Return a number between the ends, of three digits; or a whole one."""
        drawn = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return round(drawn) if whole else float(f"{drawn:.3g}")


def is_finite(value: float) -> bool:
    """Whether a number is one and a float can hold it: a whole number of JSON has any length."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One hyper-parameter: what a form or a program must know to set it.

    Attributes:
        name: of the parameter.
        type: exactly the type of its value; a whole number may stand for a float.
        default: what it is where nothing is named.
        bounds: which values it may have.
        drawn: from where a search draws it; None where it keeps its value.
    """

    name: str
    type: type
    default: Any
    bounds: Bounds
    drawn: Span | None = None

    def check(self, value: Any) -> None:
        """Refuse a value.

        Raises:
            ParamError: of another type, or out of range.
        """
        # Exactly its type, because a bool is an int in Python; a whole number may stand for a float.
        if type(value) is not self.type and not (self.type is float and type(value) is int):
            raise ParamError(
                self.name,
                f"parameter {self.name} == {value!r}, must be of type {self.type.__name__}.",
            )
        if not self.bounds.allow(value):
            raise ParamError(
                self.name, f"parameter {self.name} == {_shown(value)}, must be {self.bounds.rule}."
            )


def _shown(value: Any) -> str:
    if isinstance(value, int) and not is_finite(value):
        return f"a number of {len(str(abs(value)))} digits"
    return f"{value:g}" if isinstance(value, float) else repr(value)


def bounded(
    default: Any,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    drawn: Span | None = None,
) -> Any:
    """Return a field of a dataclass of hyper-parameters, with the values that it may have."""
    bounds = Bounds(low, above, high, choices)
    return field(default=default, metadata={BOUNDS: bounds, DRAWN: drawn})


def specs_of(cls: type[Any]) -> tuple[ParamSpec, ...]:
    """Return what a dataclass of hyper-parameters says of each."""
    defaults = cls()
    return tuple(
        ParamSpec(
            one.name,
            type(getattr(defaults, one.name)),
            getattr(defaults, one.name),
            one.metadata.get(BOUNDS, UNBOUNDED),
            one.metadata.get(DRAWN),
        )
        for one in fields(cls)
    )


def draw_params(cls: type[Any] | None, rng: np.random.Generator) -> dict[str, Any]:
    """Return random values of what a search draws; nothing where an algorithm declares none."""
    specs = specs_of(cls) if cls is not None else ()
    return {
        spec.name: spec.drawn.draw(rng, whole=spec.type is int)
        for spec in specs
        if spec.drawn is not None
    }


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return the hint that ends a refusal of a name; empty where none is near."""
    near = get_close_matches(name, known, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def read_params(cls: type[Params], params: Mapping[str, Any]) -> Params:
    """Return hyper-parameters as a dataclass.

    Raises:
        ParamError: an unknown one, one of another type, or one out of its range.
        ValueError: they do not go together.
    """
    specs = {spec.name: spec for spec in specs_of(cls)}
    for name, value in params.items():
        if name not in specs:
            hint = did_you_mean(name, list(specs))
            raise ParamError(name, f"parameter == '{name}', must be one of {sorted(specs)}.{hint}")
        specs[name].check(value)
    return cls(**params)
