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
    from collections.abc import Mapping, Sequence, Set

    from numpy.typing import NDArray

MAX_PRODUCTS = 256
MAX_WORDS = 50  # of one feature, the most frequent ones
MAX_DEVIATIONS = 10.0
MIN_SHARE = 0.01  # of the decisions that must say a feature: of fewer nothing is learnt
MAX_NAMES = 200  # of features, the most frequent ones
_AT_ONCE = 2**24  # products in memory
_MAX_UNFOLDED = 2**20  # numbers of single precision, of each version in each web process


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
        """Learn from rows in which a feature may be missing or null, but has one type."""
        present = Counter(name for row in rows for name, value in row.items() if value is not None)
        frequent = sorted(present, key=lambda name: (-present[name], name))[:MAX_NAMES]
        names = sorted(name for name in frequent if present[name] >= MIN_SHARE * len(rows))
        values = {
            name: [value for row in rows if (value := row.get(name)) is not None] for name in names
        }
        texts = [name for name in names if isinstance(values[name][-1], str)]
        numbers = {}
        for name in names:
            if name not in texts:
                known = np.array(values[name], dtype=float)
                numbers[name] = (float(known.mean()), float(known.std()) or 1.0)
        words = {name: Counter(values[name]) for name in texts}
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
        """Return n rows as columns; a learnt feature that is missing is the mean, or no word.

        Args:
            names: of the numbers.
            numbers: (n, names).
            texts: n words by name.
        """
        place = {name: i for i, name in enumerate(names)}
        centre, scale = self._scales
        if not self.numbers.keys() <= place.keys():
            numbers = np.column_stack([numbers, np.full(len(numbers), np.nan)])
        picked = numbers[:, [place.get(name, -1) for name in self.numbers]]
        scaled = (picked - centre) / scale
        scaled[np.isnan(scaled)] = 0.0
        parts = [scaled.clip(-MAX_DEVIATIONS, MAX_DEVIATIONS, out=scaled)]
        for name, words in self.texts.items():
            known = {word: i for i, word in enumerate(words)}
            part = np.zeros((len(numbers), len(words)))
            for row, word in enumerate(texts.get(name, ())):
                if (column := known.get(word)) is not None:
                    part[row, column] = 1.0
            parts.append(part)
        return np.concatenate(parts, axis=1)

    def read_rows(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """Return rows of features as columns; a learnt feature may be missing or null."""
        numbers = np.array([[row.get(name) for name in self.numbers] for row in rows], dtype=float)
        texts = {name: [row.get(name) for row in rows] for name in self.texts}
        return self.read(list(self.numbers), numbers.reshape(len(rows), -1), texts)

    def why_not(self, numbers: Set[str], texts: Set[str]) -> str:
        """Say which learnt feature is of another type, or nothing.

        Args:
            numbers: names of the features that are numbers; those that are null have no type.
            texts: names of those that are texts.
        """
        for name in sorted(self.numbers.keys() & texts):
            return f"'{name}' is a text, must be a number"
        for name in sorted(self.texts.keys() & numbers):
            return f"'{name}' is a number, must be a text"
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
class Unfolded:
    """Weights of rows, (size, k), by what they are of: a decision's rows are then never made.

    Attributes:
        constant: of 1, and of the decision's features, (1 + c, k).
        actions: of the action's features, (a, k).
        products: of each product, (c, a · k).
    """

    constant: NDArray[np.float32]
    actions: NDArray[np.float32]
    products: NDArray[np.float32]

    def times(
        self, actions: NDArray[np.floating[Any]], context: NDArray[np.floating[Any]]
    ) -> NDArray[np.float32]:
        """Return the rows of n actions times the weights, (n, k).

        Args:
            actions: as columns, (n, a).
            context: of the decision, as columns, (c,).
        """
        known = context.astype(np.float32)
        of_actions = self.actions + (known @ self.products).reshape(self.actions.shape)
        sums: NDArray[np.float32] = actions.astype(np.float32) @ of_actions
        sums += self.constant[0] + known @ self.constant[1:]
        return sums


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

    def unfold(self, weights: NDArray[np.floating[Any]]) -> Unfolded | None:
        """Return weights of rows, (size, k), by what they are of; None where that would be too large.

        A sum of products is linear in each product, so its weights are those of the product, with the
        sign that the product has in the sum.
        """
        count, known = len(self.actions.labels), len(self.context.labels)
        width = weights.shape[1]
        if count * known * width > _MAX_UNFOLDED:
            return None
        single = weights.astype(np.float32)
        rest = single[1 + known + count :]
        products = rest
        if self.products is not None:
            order, signs, starts = self.products
            sums = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
            products = np.empty((len(order), width), np.float32)
            products[order] = signs[:, None] * rest[sums]
        return Unfolded(
            single[: 1 + known],
            single[1 + known : 1 + known + count],
            products.reshape(known, count * width),
        )

    def times(self, unfolded: Unfolded, actions: ActionSet) -> NDArray[np.float32]:
        """Return the rows of one decision's actions times the weights, (n, k)."""
        columns = self.actions.read(actions.names, actions.numbers, actions.texts)
        return unfolded.times(columns, self.context.read_rows([actions.context])[0])

    def rows_of(self, actions: ActionSet) -> NDArray[np.float32]:
        """Return the rows of one decision's actions, (n, size)."""
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
        """Say what of a decision is not as it was learnt, or nothing.

        A feature may be missing. Where all that was learnt of the actions is, they are all alike.
        """
        numbers = actions.known_numbers
        if why := self.actions.why_not(numbers, actions.texts.keys()):
            return f"of the actions: {why}"
        learnt = {*self.actions.numbers, *self.actions.texts}
        if learnt and learnt.isdisjoint(numbers) and learnt.isdisjoint(actions.texts):
            return f"of the actions: all of {sorted(learnt)[:5]} are missing, must be at least one"
        known = {name: value for name, value in actions.context.items() if value is not None}
        words = {name for name, value in known.items() if isinstance(value, str)}
        if why := self.context.why_not(known.keys() - words, words):
            return f"of the decision: {why}"
        return ""
