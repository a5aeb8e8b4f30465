"""A custom classifier: an HTTP endpoint, or a class of an installed package."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from inference.classifiers.protocol import about_labels
from inference.serving.artifact import ArtifactDraft
from inference.serving.custom_artifact import fit_python
from inference.serving.features import FeatureTable
from inference.serving.models import ENDPOINT, PYTHON
from inference.training.custom_params import read_endpoint, read_python

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inference.options import FitOptions
    from inference.training.data import LabelledData


class Endpoint:
    """Answers with one score per label, in the order of the labels that the examples have."""

    name = "endpoint"
    reads_encoder = False
    seeds = 1
    refits = False
    check_params = staticmethod(read_endpoint)

    def fit(self, data: LabelledData, options: FitOptions) -> ArtifactDraft:
        """Note where it is.

        Raises:
            ValueError: the parameters do not say.
        """
        params = asdict(read_endpoint(options.params))
        return _draft(ENDPOINT, self.name, data, params, options.seed, {})


class Python:
    """Answers with one probability per label, in a worker."""

    name = "python"
    reads_encoder = False
    seeds = 1
    refits = True
    check_params = staticmethod(read_python)

    def fit(self, data: LabelledData, options: FitOptions) -> ArtifactDraft:
        """Let the class learn, if it does, and keep its files.

        Raises:
            ValueError: no installed package has such a class.
        """
        params = read_python(options.params)
        files = fit_python(params.entry_point, data, options)
        return _draft(PYTHON, self.name, data, asdict(params), options.seed, files)


def _draft(
    form: str,
    name: str,
    data: LabelledData,
    params: Mapping[str, Any],
    seed: int,
    files: dict[str, bytes],
) -> ArtifactDraft:
    about = {**about_labels(name, params, data, FeatureTable(), seed), **params}
    return ArtifactDraft(form=form, arrays={}, about=about, files=files)
