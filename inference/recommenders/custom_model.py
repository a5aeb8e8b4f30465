"""A custom model: an HTTP endpoint, or a class of an installed package.

Both go through the same gate as any recommender: they score the judged units' candidates as they would
in traffic. An endpoint is fitted elsewhere; a class may have a `fit`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from inference.recommenders.protocol import default_order
from inference.serving.artifact import ArtifactDraft
from inference.serving.custom_artifact import fit_python
from inference.serving.models import ENDPOINT, PYTHON
from inference.training.custom_params import read_endpoint, read_python

if TYPE_CHECKING:
    from inference.options import FitOptions
    from inference.training.data import TrainingData


class Endpoint:
    """Candidates are the most popular items; the endpoint scores them."""

    name = "endpoint"
    reads: frozenset[str] = frozenset()
    seeds = 1
    check_params = staticmethod(read_endpoint)

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Note where it is.

        Raises:
            ValueError: the parameters do not say.
        """
        params = read_endpoint(options.params)
        options.report(1.0, f"asks {params.url}")
        return _draft(ENDPOINT, self.name, data, asdict(params))


class Python:
    """Candidates are the most popular items; a user's class scores them in a worker."""

    name = "python"
    reads = frozenset({"texts"})
    seeds = 1
    check_params = staticmethod(read_python)

    def fit(self, data: TrainingData, options: FitOptions) -> ArtifactDraft:
        """Let the class learn, if it does, and keep its files.

        Raises:
            ValueError: no installed package has such a class.
        """
        params = read_python(options.params)
        files = fit_python(params.entry_point, data, options)
        return _draft(PYTHON, self.name, data, asdict(params), files)


def _draft(
    form: str,
    name: str,
    data: TrainingData,
    params: dict[str, Any],
    files: dict[str, bytes] | None = None,
) -> ArtifactDraft:
    order = default_order(data.popularity, limit=len(data.item_ids))
    return ArtifactDraft(
        form=form,
        arrays={"default_order": order},
        item_ids=data.item_ids,
        about={"algorithm": name, "params": params, **params},
        files=files or {},
    )
