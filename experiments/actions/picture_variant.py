"""Add a picture of what users of a variant saw, and delete it.

Guarantees: what is stored was decoded and written anew here, so it holds nothing but pixels, turned as
the camera was held, and no notes of the camera; a file of too many bytes or pixels is refused before it
is decoded.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from bakeoff.accounts.audit import record_audit
from bakeoff.accounts.refused import RefusedError
from experiments.models import Experiment, VariantPicture

if TYPE_CHECKING:
    from experiments.models import Variant

MAX_EDGE = 1280  # pixels: letters of a screenshot can be read, and a report stays small
QUALITY = 80  # of WebP


class CannotPictureError(RefusedError):
    """A file that is no usable picture; `field` names where."""


def put_variant_picture(*, variant: Variant, content: bytes, by: str) -> VariantPicture:
    """Store a picture, in place of the one that was there.

    Args:
        variant: of which it shows what users saw.
        content: PNG, JPEG, WebP or GIF, at most 10 MB.
        by: who acts.

    Raises:
        CannotPictureError: too many bytes or pixels, another format, or damaged.
    """
    webp, size = _read(content)
    with transaction.atomic():
        experiment = _lock(variant)
        picture, _is_new = VariantPicture.objects.update_or_create(
            variant=variant,
            # With its time, by which browsers tell a new picture from the one they know.
            defaults={
                "content": webp,
                "width": size[0],
                "height": size[1],
                "created_at": timezone.now(),
            },
        )
        _record(experiment, variant, by=by, action="add picture")
    return picture


def delete_variant_picture(*, variant: Variant, by: str) -> None:
    """Delete the picture of a variant; where there is none, nothing changes."""
    with transaction.atomic():
        experiment = _lock(variant)
        deleted, _by_table = VariantPicture.objects.filter(variant=variant).delete()
        if deleted:
            _record(experiment, variant, by=by, action="delete picture")


def _read(content: bytes) -> tuple[bytes, tuple[int, int]]:
    from inference.encoders.read_image import (  # noqa: PLC0415  Pillow, where there are pictures
        ImageRefusedError,
        read_image,
    )

    try:
        image = read_image(content, max_edge=MAX_EDGE, as_seen=True)
    except ImageRefusedError as error:
        raise CannotPictureError(str(error), field="picture") from error
    file = io.BytesIO()
    image.save(file, "WEBP", quality=QUALITY)
    return file.getvalue(), image.size


def _lock(variant: Variant) -> Experiment:
    # Of two that act on one picture at once, the second sees what the first did.
    rows = Experiment.objects.select_for_update(of=("self",), no_key=True)
    return rows.get(pk=variant.experiment_id)


def _record(experiment: Experiment, variant: Variant, *, by: str, action: str) -> None:
    record_audit(
        experiment.project_id,
        actor=by,
        action=action,
        subject=experiment.key,
        detail={"variant": variant.key},
    )
