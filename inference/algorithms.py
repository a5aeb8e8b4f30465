"""The one list of what can be trained: recommenders, classifiers, generators, policies, and packages'.

`auto` is none of them: a run of it fits a portfolio of recommenders or classifiers and goes on with the
best.

An installed package registers a class under the entry point group `bakeoff.recommenders`,
`bakeoff.classifiers` or `bakeoff.generators`; it implements the protocol of that name and exports to a
form that serving knows.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Self

from inference.classifiers import CLASSIFIERS
from inference.classifiers.private_head import PrivateHead
from inference.generators import GENERATORS
from inference.options import ParamError, bounded, did_you_mean, read_params
from inference.policies import POLICIES
from inference.recommenders import RECOMMENDERS
from inference.recommenders.blend import Blend
from inference.serving.models import ENDPOINT, IMPORTED, PYTHON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.classifiers import Classifier
    from inference.generators import Generator
    from inference.policies import LinearFit
    from inference.recommenders import Recommender

logger = logging.getLogger(__name__)
AUTO = "auto"
PRETRAIN = "pretrain"  # makes an encoder, which other recipes name
REMOTE = (ENDPOINT, PYTHON)
CUSTOM = (*REMOTE, IMPORTED)  # fitted elsewhere: a fit here says nothing of how they learn
PRIVATE = PrivateHead.name
ENCODER = "encoder"  # the parameter that names which encoder reads texts
MAX_SEARCH = 500  # draws; each is a fit
# A private one would spend its ε to be compared, and again to be what is chosen.
NOT_TRIED = (*CUSTOM, PRETRAIN, PRIVATE)


@dataclass(frozen=True)
class Portfolio:
    """What a run of `auto` tries.

    Attributes:
        algorithms: in this order; empty: `usual`.
        budget_seconds: for fitting and judging all of them; each gets an equal share of what is left.
        search: draws of hyper-parameters for each of them; 0: the defaults alone.
        encoder: version whose encoder those read texts by that read any; empty: the configured one.
    """

    kind: ClassVar[str]  # of the surfaces
    # Cheap ones first: what they leave of the run's time is the dearer ones'.
    usual: ClassVar[tuple[str, ...]]
    blend: ClassVar[bool]  # whether a blend of the best two is tried too

    algorithms: list[str] = field(default_factory=list)
    budget_seconds: float = bounded(3600.0, above=0, high=30 * 86_400.0)
    search: int = bounded(0, low=0, high=MAX_SEARCH)
    encoder: str = ""

    @classmethod
    def parse(cls, params: Mapping[str, Any]) -> Self:
        """Read and check the parameters of a run.

        Raises:
            ValueError: an unknown parameter or algorithm, or no time.
        """
        cls._refuse_params_of_one(params)
        portfolio = read_params(cls, params)
        known = sorted(set(algorithms_of(cls.kind)) - set(NOT_TRIED))
        for name in portfolio.algorithms:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ParamError("algorithms", f"algorithms: '{name}', must be among {known}.{hint}")
        return portfolio

    @classmethod
    def _refuse_params_of_one(cls, params: Mapping[str, Any]) -> None:
        """Refuse hyper-parameters of an algorithm, where none is named."""
        own = {spec.name for spec in fields(cls)}
        for name in params:
            having = [
                one
                for one in sorted(set(algorithms_of(cls.kind)) - set(CUSTOM))
                if (of_one := params_of(cls.kind, one)) is not None
                and name in {spec.name for spec in fields(of_one)}
            ]
            if name not in own and having:
                raise ParamError(
                    name,
                    f"parameter '{name}' belongs to {having}, and algorithm '{AUTO}' tries several: "
                    f'name one, as "algorithm": "{having[-1]}".',
                )

    @property
    def names(self) -> list[str]:
        """The algorithms, each once."""
        return list(dict.fromkeys(self.algorithms or self.usual))

    def params_of(self, name: str) -> dict[str, Any]:
        """Return the parameters of an algorithm before any search."""
        if self.encoder and reads_texts(self.kind, name):
            return {"encoder": self.encoder}
        return {}


@dataclass(frozen=True)
class RankingPortfolio(Portfolio):
    """Of recommenders.

    Attributes:
        blend: whether a blend of the best two is tried too.
    """

    kind: ClassVar[str] = "recommend"
    usual: ClassVar = (
        "popularity", "trending", "latest", "item-knn", "ease", "als", "two-tower", "sasrec"
    )  # fmt: skip

    blend: bool = True  # type: ignore[misc]  # a parameter here, where classifiers have none


@dataclass(frozen=True)
class LabelPortfolio(Portfolio):
    """Of classifiers."""

    kind: ClassVar[str] = "classify"
    usual: ClassVar = ("tfidf", "frozen-head", "bert")
    blend: ClassVar[bool] = False


PORTFOLIOS: Mapping[str, type[Portfolio]] = {
    one.kind: one for one in (RankingPortfolio, LabelPortfolio)
}


@cache  # reading every installed package's metadata takes milliseconds, and a page asks each time
def recommenders() -> Mapping[str, Recommender]:
    """Return what can be trained to rank items, by name."""
    known = {**RECOMMENDERS, **_of_packages("bakeoff.recommenders")}
    known[Blend.name] = Blend(known)
    return known


@cache
def classifiers() -> Mapping[str, Classifier]:
    """Return what can be trained to label texts, by name."""
    return {**CLASSIFIERS, **_of_packages("bakeoff.classifiers")}


@cache
def generators() -> Mapping[str, Generator]:
    """Return what can be trained to generate text, by name."""
    return {**GENERATORS, **_of_packages("bakeoff.generators")}


def policies() -> Mapping[str, LinearFit]:
    """Return what can be trained to choose among actions, by name."""
    return POLICIES


def algorithms_of(kind: str) -> Mapping[str, Recommender | Classifier | Generator | LinearFit]:
    """Return what can be trained for surfaces of a kind, by name; nothing for flags."""
    match kind:
        case "recommend":
            return recommenders()
        case "classify":
            return classifiers()
        case "generate":
            return generators()
        case "rank":
            return policies()
    return {}


def default_algorithm(kind: str) -> str:
    """Return what is trained on surfaces of a kind where nobody names anything; empty for flags."""
    return AUTO if kind in PORTFOLIOS else {"generate": "dpo", "rank": "linear-thompson"}.get(kind, "")


def trainable(kind: str) -> list[str]:
    """Return what a run or a schedule may name on surfaces of a kind, `auto` first."""
    names = sorted(algorithms_of(kind))
    return [AUTO, *names] if kind in PORTFOLIOS else names


def startable(kind: str) -> list[str]:
    """Return what a run may name without parameters: models of elsewhere come with their own."""
    return [name for name in trainable(kind) if name not in CUSTOM]


def check_trainable(kind: str, algorithm: str, params: Mapping[str, Any]) -> None:
    """Check what a run or a schedule names.

    Raises:
        ValueError: an unknown algorithm, a portfolio that cannot be tried, or parameters that the
            algorithm refuses before it sees a row.
    """
    if kind == "recommend" and (algorithm == PRIVATE or "epsilon" in params):
        raise ValueError(
            f"algorithm == '{algorithm}' with an ε: there is none for recommenders. Their loss is over "
            "items that other users liked, so no gradient is of one user alone, and an ε would be "
            f"false. '{PRIVATE}' trains classifiers."
        )
    names = trainable(kind)
    if algorithm not in names:
        raise ValueError(
            f"algorithm == '{algorithm}', must be one of {names} on a surface of kind '{kind}'."
            f"{did_you_mean(algorithm, names)}"
        )
    if algorithm == AUTO:
        PORTFOLIOS[kind].parse(params)
        return
    check = getattr(algorithms_of(kind)[algorithm], "check_params", None)
    if check is not None:
        check(params)
    elif (cls := params_of(kind, algorithm)) is not None:
        # The encoder is every recipe's that reads texts, and no hyper-parameter of the fit.
        read_params(cls, {name: value for name, value in params.items() if name != ENCODER})


def why_not_trainable(kind: str, algorithm: str, params: Mapping[str, Any]) -> str:
    """Return the rule that a stored schedule breaks, or nothing: a version had other bounds."""
    if not isinstance(params, dict):  # as SQL may have left it
        return f"parameters == {params!r:.50}, must be an object."
    try:
        check_trainable(kind, algorithm, params)
    except ValueError as error:
        return str(error)
    return ""


def params_of(kind: str, algorithm: str) -> type[Any] | None:
    """Return the dataclass of an algorithm's hyper-parameters; None where it declares none."""
    if algorithm == AUTO:
        return PORTFOLIOS.get(kind)
    cls = getattr(algorithms_of(kind).get(algorithm), "params", None)
    return cls if isinstance(cls, type) and is_dataclass(cls) else None


def inputs_of(kind: str, algorithm: str, params: Mapping[str, Any]) -> frozenset[str]:
    """Return what a run reads besides ids; empty if unknown.

    Of "vectors" (of items' texts), "images" (their vectors), "texts", "encoder".
    """
    algorithms = algorithms_of(kind)
    portfolio = PORTFOLIOS.get(kind) if algorithm == AUTO else None
    names = portfolio.parse(params).names if portfolio is not None else [algorithm]
    inputs: set[str] = set()
    for name in names:
        # A classifier says `reads_encoder`, a recommender `reads`; a compression's name is unknown.
        one = algorithms.get(name)
        inputs |= {*getattr(one, "reads", ())}
        if getattr(one, "reads_encoder", False):
            inputs.add("encoder")
    return frozenset(inputs)


def reads_texts(kind: str, algorithm: str) -> bool:
    """Whether an algorithm reads texts by an encoder; of `auto`, whether any that it tries may."""
    return bool(inputs_of(kind, algorithm, {}) & {"vectors", "texts", "encoder"})


def shares_steps(kind: str, algorithm: str) -> bool:
    """Whether several processes can train an algorithm together: what fine-tunes a transformer."""
    return bool(getattr(algorithms_of(kind).get(algorithm), "parallel", False))


def _of_packages(group: str) -> dict[str, Any]:
    algorithms = {}
    for entry in entry_points(group=group):
        try:
            loaded = entry.load()
            algorithms[entry.name] = loaded() if isinstance(loaded, type) else loaded
        except Exception:
            # Somebody else's package must not keep the platform's own models from being trained.
            logger.exception("entry point %s of %s cannot be loaded", entry.name, entry.value)
    return algorithms
