"""What training reads of a catalogue, as one hash: a part of a snapshot's name."""

from __future__ import annotations

import hashlib

from inference.models import FetchedImage, Item


def catalogue_sha256(project_id: int) -> str:
    """Return the hash of what algorithms read of a project's items: ids, texts, vectors, images.

    Stock and prices that are no property leave it as it is: they change all day, and teach nothing.
    """
    content = hashlib.sha256()
    fetched = FetchedImage.objects.filter(project_id=project_id).exclude(image_sha256="")
    images = dict(fetched.values_list("url", "image_sha256"))
    items = Item.objects.filter(project_id=project_id).order_by("id")
    read = items.only(
        "item_id", "title", "text", "labels", "properties", "vector", "image_url", "image_sha256"
    )
    for item in read.iterator(chunk_size=2000):
        for part in (item.item_id.encode(), item.text_to_embed.encode(), bytes(item.vector or b"")):
            content.update(len(part).to_bytes(8, "little"))  # so that no two catalogues run together
            content.update(part)
        if item.image_address in images:
            content.update(images[item.image_address].encode())
    return content.hexdigest()
