"""Store images that a product uploads, and erase those that no item has any more."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

from inference.encoders.image_vectors import erase_orphaned_vectors
from inference.models import FetchedImage, Item, UploadedImage

if TYPE_CHECKING:
    from collections.abc import Collection


def image_to_store(content: bytes) -> bytes:
    """Return what encoders read of an image, as PNG: without the camera's notes.

    Raises:
        ImageRefusedError: too many bytes or pixels, another format, or damaged.
    """
    from inference.encoders.read_image import read_image  # noqa: PLC0415  Pillow, where there are images

    file = io.BytesIO()
    read_image(content).save(file, "PNG")
    return file.getvalue()


def store_image(project_id: int, png: bytes) -> str:
    """Keep an image under its hash, which is returned.

    The caller holds the catalogue's number (`next_change`): whoever erases what no item has waits for
    the item that is about to have it.
    """
    digest = hashlib.sha256(png).hexdigest()
    UploadedImage.objects.bulk_create(
        [UploadedImage(project_id=project_id, sha256=digest, content=png)],
        ignore_conflicts=True,  # the same image for another item, or sent again
    )
    return digest


def erase_unused_images(project_id: int, digests: Collection[str]) -> None:
    """Delete those images of a project that none of its items has, and their vectors."""
    items = Item.objects.filter(project_id=project_id, image_sha256__in=digests)
    unused = set(digests) - set(items.values_list("image_sha256", flat=True))
    if not unused:
        return
    UploadedImage.objects.filter(project_id=project_id, sha256__in=unused).delete()
    addresses = [UploadedImage.address_of(digest) for digest in unused]
    FetchedImage.objects.filter(project_id=project_id, url__in=addresses).delete()
    erase_orphaned_vectors(unused)
