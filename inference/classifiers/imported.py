"""A classifier whose ONNX file came from elsewhere: it learns nothing here, and the gate judges it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from inference.classifiers.protocol import about_labels
from inference.serving.artifact import ArtifactDraft, load_draft
from inference.serving.features import FeatureTable
from inference.serving.folded_labels import fold_label
from inference.serving.models import IMPORTED
from inference.serving.onnx_model import ONNX
from inference.training.custom_params import read_imported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.options import FitOptions
    from inference.training.data import LabelledData

MAX_NAMED = 5  # labels of a message


class Imported:
    """Answers as the file does, in the order of the labels that the examples have."""

    name = IMPORTED
    reads_encoder = False
    seeds = 1
    refits = False
    check_params = staticmethod(read_imported)

    def fit(self, data: LabelledData, options: FitOptions) -> ArtifactDraft:
        """Put the file's labels in the examples' order.

        Raises:
            ValueError: the file knows a label that no example has.
            ArtifactError: the upload is missing or damaged.
        """
        params = read_imported(options.params)
        assert options.artifacts is not None  # noqa: S101  every run has a store
        upload = load_draft(options.artifacts, params.upload)
        columns = _columns(upload.about["labels"], data.labels)
        about = {
            **about_labels(self.name, asdict(params), data, FeatureTable(), options.seed),
            ONNX: {**upload.about[ONNX], "columns": columns},
            "source": params.source,
            "deadline_ms": params.deadline_ms,
        }
        return ArtifactDraft(form=ONNX, arrays={}, about=about, files=upload.files)


def _columns(of_file: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Return the column of each of the examples' labels in the file's output, -1 for none."""
    place = {fold_label(label): column for column, label in enumerate(of_file)}
    columns = [place.pop(fold_label(label), -1) for label in labels]
    if place:
        # To leave its column out would be another model than the one that was handed over.
        unknown = [label for label in of_file if fold_label(label) in place]
        more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
        raise ValueError(
            f"labels of the model that no example has: {unknown[:MAX_NAMED]}{more}. Load an example of "
            "each with `bakeoff load labelled`."
        )
    return columns
