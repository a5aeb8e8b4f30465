"""What a linear policy reads of actions and of a decision: features as numbers, and their products.

A row is 1, the decision's features, the action's features, and each product of one of either: without
products every decision would prefer the same action. Of many products the row has `MAX_PRODUCTS` sums,
by a hash of both names with a sign (Weinberger et al. 2009, Feature hashing, ICML). Numbers are
centred and scaled as they were when the policy learnt, and cut beyond ten deviations; a missing one is
at the mean. A text is one of the words that were learnt, or none.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.serving.action_set import ActionSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MAX_PRODUCTS = 256
MAX_WORDS = 50  # of one feature, the most frequent ones
MAX_DEVIATIONS = 10.0
_AT_ONCE = 2**24  # products in memory


@dataclass(frozen=True)
class Columns:
    """The features of actions, or of decisions, as a policy reads them.

    Attributes:
        numbers: names of numbers, with the mean and the scale of each.
        texts: names of texts, with the words that were learnt of each.
    """

    numbers: Mapping[str, tuple[float, float]]
    texts: Mapping[str, tuple[str, ...]]

    @classmethod
    def learn(cls, rows: Sequence[Mapping[str, Any]]) -> Columns:
        """Learn from rows that all name the same features."""
        names = sorted(rows[0]) if rows else []
        texts = [name for name in names if any(isinstance(row[name], str) for row in rows)]
        numbers = {}
        for name in names:
            if name not in texts:
                values = np.array([row[name] for row in rows], dtype=float)
                known = values[~np.isnan(values)]
                mean, scale = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
                numbers[name] = (mean, scale or 1.0)
        words = {name: Counter(row[name] for row in rows if row[name] is not None) for name in texts}
        return cls(
            numbers,
            # Sorted: of words that are as frequent the order of rows must not decide.
            {
                name: tuple(sorted(counts, key=lambda word: (-counts[word], str(word)))[:MAX_WORDS])
                for name, counts in words.items()
            },
        )

    @cached_property
    def _scales(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Means and scales of the numbers, in their order."""
        pairs = np.array(list(self.numbers.values()), dtype=float).reshape(len(self.numbers), 2)
        return pairs[:, 0].copy(), pairs[:, 1].copy()

    @property
    def labels(self) -> list[str]:
        """Names of the columns."""
        words = [f"{name}={word}" for name, known in self.texts.items() for word in known]
        return [*self.numbers, *words]

    def read(
        self, names: Sequence[str], numbers: NDArray[np.float64], texts: Mapping[str, Sequence[Any]]
    ) -> NDArray[np.float64]:
        """Return n rows as columns.

        Args:
            names: of the numbers; every learnt one is among them.
            numbers: (n, names).
            texts: n words by name; every learnt one is among them.
        """
        place = {name: i for i, name in enumerate(names)}
        centre, scale = self._scales
        picked = numbers[:, [place[name] for name in self.numbers]]
        scaled = (picked - centre) / scale
        scaled[np.isnan(scaled)] = 0.0
        parts = [scaled.clip(-MAX_DEVIATIONS, MAX_DEVIATIONS, out=scaled)]
        for name, words in self.texts.items():
            known = {word: i for i, word in enumerate(words)}
            part = np.zeros((len(numbers), len(words)))
            for row, word in enumerate(texts[name]):
                if (column := known.get(word)) is not None:
                    part[row, column] = 1.0
            parts.append(part)
        return np.concatenate(parts, axis=1)

    def read_rows(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """Return rows of features as columns; each names all that were learnt."""
        numbers = np.array([[row[name] for name in self.numbers] for row in rows], dtype=float)
        texts = {name: [row[name] for row in rows] for name in self.texts}
        return self.read(list(self.numbers), numbers.reshape(len(rows), -1), texts)

    def why_not(self, names: Sequence[str], texts: Sequence[str]) -> str:
        """Say which learnt feature is missing or of another type, or nothing."""
        if not self.texts and self.numbers.keys() <= set(names):
            return ""  # nearly always
        for name in self.numbers:
            if name not in names:
                return f"'{name}' is {'a text' if name in texts else 'missing'}, must be a number"
        for name in self.texts:
            if name not in texts:
                return f"'{name}' is {'a number' if name in names else 'missing'}, must be a text"
        return ""

    def as_json(self) -> dict[str, Any]:
        """Return every field."""
        return {
            "numbers": {name: list(pair) for name, pair in self.numbers.items()},
            "texts": {name: list(words) for name, words in self.texts.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Columns:
        """Read what `as_json` wrote; manifests sort names, and so does `learn`."""
        return cls(
            {name: (float(pair[0]), float(pair[1])) for name, pair in sorted(data["numbers"].items())},
            {name: tuple(words) for name, words in sorted(data["texts"].items())},
        )


@dataclass(frozen=True)
class FeatureSpace:
    """All that a policy reads.

    Attributes:
        actions: features of actions.
        context: features of decisions.
    """

    actions: Columns
    context: Columns

    @cached_property
    def products(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]] | None:
        """The order of the products by their sum, the sign of each, and where each sum begins.

        None where every product has a column of its own.
        """
        names = [f"{c}\0{a}" for c in self.context.labels for a in self.actions.labels]
        if len(names) <= MAX_PRODUCTS:
            return None
        hashes = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) for name in names]
        sums = np.array([one % MAX_PRODUCTS for one in hashes])
        signs = np.array([1.0 if (one >> 32) % 2 else -1.0 for one in hashes])
        order = np.argsort(sums, kind="stable")
        starts = np.flatnonzero(np.diff(sums[order], prepend=-1))
        return order, signs[order], starts

    @cached_property
    def size(self) -> int:
        """Numbers in a row."""
        actions, context = len(self.actions.labels), len(self.context.labels)
        products = actions * context if self.products is None else len(self.products[2])
        return 1 + context + actions + products

    @property
    def groups(self) -> tuple[slice, ...]:
        """The columns of the decision, of the action, and of their products; not that of 1."""
        context, actions = len(self.context.labels), len(self.actions.labels)
        edges = (1, 1 + context, 1 + context + actions, self.size)
        pairs = itertools.pairwise(edges)
        return tuple(slice(start, stop) for start, stop in pairs if start < stop)

    def rows(self, actions: NDArray[np.float64], context: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the rows of n actions, (n, size).

        Args:
            actions: as columns, (n, a).
            context: as columns, (n, c), or (1, c) for all.
        """
        count = len(actions)
        context = np.broadcast_to(context, (count, context.shape[1]))
        width = max(actions.shape[1] * context.shape[1], 1)
        step = max(_AT_ONCE // width, 1)
        parts = [
            self._products_of(actions[start : start + step], context[start : start + step])
            for start in range(0, count, step)
        ]
        products = np.concatenate(parts) if parts else np.empty((0, 0))
        return np.concatenate([np.ones((count, 1)), context, actions, products], axis=1)

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """Where each product stands in a matrix (actions, sums): as `products` orders them."""
        assert self.products is not None  # noqa: S101  its caller has looked
        order, _, starts = self.products
        count, sums = len(self.actions.labels), len(starts)
        columns = np.repeat(np.arange(sums), np.diff(starts, append=len(order)))
        return np.asarray((order % count) * sums + columns)

    def _products_in(
        self, actions: NDArray[np.float64], context: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the products of actions with one context, (n, products).

        Each sum is linear in the features of an action, by weights that the context gives: a matrix
        product, where products of their own would be gathered and summed for each action.
        """
        if self.products is None:
            return self._products_of(
                actions, np.broadcast_to(context, (len(actions), context.shape[1]))
            )
        order, signs, starts = self.products
        count, sums = actions.shape[1], len(starts)
        weights = np.bincount(self._places, context[0, order // count] * signs, minlength=count * sums)
        products: NDArray[np.float64] = actions @ weights.reshape(count, sums)
        return products

    def _products_of(
        self, actions: NDArray[np.float64], context: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        each = (context[:, :, None] * actions[:, None, :]).reshape(len(actions), -1)
        if self.products is None:
            return each
        order, signs, starts = self.products
        sums: NDArray[np.float64] = np.add.reduceat(each[:, order] * signs, starts, axis=1)
        return sums

    def rows_of(self, actions: ActionSet) -> NDArray[np.float32]:
        """Return the rows of one decision's actions, (n, size); it names all that was learnt."""
        columns = self.actions.read(actions.names, actions.numbers, actions.texts)
        context = self.context.read_rows([actions.context])
        after_context = 1 + context.shape[1]
        after_action = after_context + columns.shape[1]
        # Of single precision, as what was learnt: numpy would convert the factor at each request.
        rows = np.empty((len(columns), self.size), np.float32)
        rows[:, 0] = 1.0
        rows[:, 1:after_context] = context
        rows[:, after_context:after_action] = columns
        rows[:, after_action:] = self._products_in(columns, context)
        return rows

    def example(self, count: int) -> ActionSet:
        """Return a decision between equal actions, whose features are those of the mean."""
        numbers = [mean for mean, _ in self.actions.numbers.values()]
        context = {name: mean for name, (mean, _) in self.context.numbers.items()}
        return ActionSet(
            ids=[str(n) for n in range(count)],
            names=tuple(self.actions.numbers),
            numbers=np.tile(np.array(numbers), (count, 1)),
            texts={name: [None] * count for name in self.actions.texts},
            context={**context, **dict.fromkeys(self.context.texts)},
        )

    def why_not(self, actions: ActionSet) -> str:
        """Say what of a decision is not as it was learnt, or nothing."""
        if why := self.actions.why_not(actions.names, list(actions.texts)):
            return f"of the actions: {why}"
        words = [name for name, value in actions.context.items() if isinstance(value, str)]
        numbers = [name for name in actions.context if name not in words]
        # A missing word of a decision is null, which has no type.
        missing = [name for name, value in actions.context.items() if value is None]
        if why := self.context.why_not(numbers, [*words, *missing]):
            return f"of the decision: {why}"
        return ""
