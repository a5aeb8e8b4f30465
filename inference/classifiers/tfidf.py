"""TF-IDF and logistic regression: the baseline that a transformer must beat, and often does not."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from inference.classifiers.protocol import CLASS_WEIGHTS, MAX_STEPS, HeadOptions, about_labels, fit_head
from inference.options import FitOptions, Span, bounded, read_params
from inference.serving.artifact import ArtifactDraft
from inference.serving.features import FeatureTable
from inference.serving.text_classifiers import CHARACTERS, TERMS, terms_of

if TYPE_CHECKING:
    from typing import Any

    from inference.training.data import LabelledData


@dataclass(frozen=True)
class TfidfParams:
    """Hyper-parameters.

    Attributes:
        inverse_l2: C of the regression.
        least: texts that must hold a term.
        most: terms that are kept, the most frequent.
        class_weight: `none` or `balanced`.
        max_steps: of the regression's solver.
    """

    inverse_l2: float = bounded(10.0, above=0, high=1e6, drawn=Span(0.3, 1000))
    least: int = bounded(2, low=1, high=1_000_000, drawn=Span(1, 5))
    most: int = bounded(50_000, low=1, high=10_000_000)
    class_weight: str = bounded("none", choices=CLASS_WEIGHTS)
    max_steps: int = bounded(MAX_STEPS, low=1, high=1_000_000)


class Tfidf:
    """Words and pairs of words, rarer ones weighing more, and the features beside them."""

    name = "tfidf"
    params = TfidfParams
    reads_encoder = False
    seeds = 1
    refits = True
    probe_params: ClassVar = {"max_steps": 50}

    def fit(self, data: LabelledData, options: FitOptions) -> ArtifactDraft:
        """Count terms, then fit the head."""
        from scipy import sparse  # noqa: PLC0415  web processes know classifiers by name alone

        params = read_params(TfidfParams, options.params)
        counted = [Counter(terms_of(text)) for text in data.texts]
        texts_with = Counter(term for terms in counted for term in terms)
        terms = sorted(
            term
            for term, n in texts_with.most_common(params.most)
            if n >= min(params.least, len(counted))
        )
        index = {term: i for i, term in enumerate(terms)}
        counts = np.array([texts_with[term] for term in terms], dtype=np.float64)
        rarity = (np.log((1 + len(counted)) / (1 + counts)) + 1).astype(np.float32)
        table = FeatureTable.learn(data.features)
        rows = _matrix(counted, index, rarity)
        if table.width:
            rows = sparse.hstack([rows, sparse.csr_matrix(table.transform(data.features))]).tocsr()
        options.report(0.2, f"{len(terms)} terms and {table.width} features of {len(counted)} texts")
        head = fit_head(
            rows,
            data.truth,
            len(data.labels),
            HeadOptions(params.inverse_l2, params.class_weight, params.max_steps),
        )
        options.report(1.0, "fitted")
        return ArtifactDraft(
            form=TERMS,
            arrays={"weights": head.weights, "offset": head.offset, "rarity": rarity},
            about={
                **about_labels(self.name, asdict(params), data, table, options.seed, head),
                "terms": CHARACTERS,
            },
            files={"terms.json": json.dumps(terms).encode()},
        )


def _matrix(counted: list[Counter[str]], index: dict[str, int], rarity: np.ndarray) -> Any:
    """Return rows of length 1 as serving forms them, sparse (texts, terms)."""
    from scipy import sparse  # noqa: PLC0415  likewise

    starts, columns, values = [0], [], []
    for counts in counted:
        occurring = sorted((index[term], n) for term, n in counts.items() if term in index)
        places = np.array([place for place, _ in occurring], dtype=np.int64)
        row = (1 + np.log([n for _, n in occurring])) * rarity[places] if occurring else np.zeros(0)
        columns.append(places)
        values.append(row / (np.linalg.norm(row) or 1.0))
        starts.append(starts[-1] + len(places))
    return sparse.csr_matrix(
        (np.concatenate(values), np.concatenate(columns), starts), (len(counted), len(index))
    )
