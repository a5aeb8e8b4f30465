"""Models that were made elsewhere, sent as files."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Status

from bakeoff.accounts.refused import RefusedError
from bakeoff.api.access import actor_of, project_of
from bakeoff.api.errors import Problem
from bakeoff.api.lookup import get_or_404
from bakeoff.api.models import RunOut
from bakeoff.api.request_schema import RequestSchema
from experiments.actions.import_model import import_model
from inference.actions.queue_training import CannotTrainError
from inference.actions.store_upload import ModelUpload
from inference.models import Surface
from inference.serving.models import DEADLINE_MS

router = Router(tags=["models"])


class ModelImportIn(RequestSchema):
    """A file, and what it takes to serve it."""

    file: str = Field(description="In base64: ONNX for kind classify, safetensors for kind recommend.")
    sha256: str = Field(max_length=64, description="Of the file, in hexadecimal digits.")
    labels: list[str] = Field(
        default_factory=list, description="Of ONNX: in the order of the columns of its output."
    )
    inputs: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Of ONNX: by the name of each input what its columns read, `text` or names of "
        "features. Empty: the only input takes the text.",
    )
    output: str = Field(
        "", max_length=200, description="Of ONNX: with the scores. Empty: the last one."
    )
    activation: str = Field(
        "probabilities", max_length=20, description="Of ONNX: `softmax` where the output has logits."
    )
    missing: float = Field(0.0, description="Of ONNX: what stands for a number that a request lacks.")
    item_ids: list[str] = Field(
        default_factory=list, description="Of safetensors: in the order of the rows."
    )
    source: dict[str, str] = Field(
        default_factory=dict, description="Where it comes from, for people: at most 10 texts by name."
    )
    deadline_ms: int = Field(DEADLINE_MS, description="How long an answer may take.")


@router.post("/surfaces/{key}/model-imports", response={202: RunOut})
def import_surface_model(request: HttpRequest, key: str, payload: ModelImportIn) -> Any:
    """Import a model as a file: it is checked, answers once, and goes through the surface's gate.

    The run is one of the surface's training runs; its version then goes the way of every other. A body
    has at most 32 MB; `bakeoff import model` takes larger files.
    """
    surface = get_or_404(Surface.objects.filter(project=project_of(request)), "surface", key=key)
    fields = payload.dict(exclude={"file", "deadline_ms"})
    try:
        content = base64.b64decode(payload.file, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(422, "invalid_model", "file must be base64.", "file") from error
    try:
        run = import_model(
            surface=surface,
            upload=ModelUpload(content=content, **fields),
            by=actor_of(request),
            deadline_ms=payload.deadline_ms,
        )
    except RefusedError as error:
        raise Problem(422, "invalid_model", str(error), error.field) from error
    except CannotTrainError as error:
        raise Problem(422, "cannot_import", str(error)) from error
    return Status(202, run)
