"""Images that requests name beside a text: what a worker has read of them already.

A request is not kept waiting for somebody's host: an image that no worker has read yet is noted for the
worker that fetches, by the same rules as an item's, and the text alone answers. A public key notes
none: anybody has it.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from django.db import Error, connection

from inference.encoders.image_vectors import (
    image_encoder_path,
    image_encoder_sha256,
    image_vectors_at,
    want_images,
)
from inference.serving.example_images import IMAGE, address_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)
PROJECT, NOTES_IMAGE = "project", "notes_image"  # fields of a question


def with_request_images(
    questions: Sequence[Mapping[str, Any]], encoder: str
) -> list[Mapping[str, Any]]:
    """Return questions with the vectors of their images, as far as there are any.

    Args:
        questions: with `features`, and with `project` where an image is named.
        encoder: SHA-256 of the encoder that the version has learnt by.
    """
    seen = list(questions)
    if not image_encoder_path() or image_encoder_sha256() != encoder:
        return seen
    by_project: dict[int, list[int]] = defaultdict(list)
    for row, question in enumerate(questions):
        if PROJECT in question and address_of(question["features"]):
            by_project[int(question[PROJECT])].append(row)
    try:
        connection.close_if_unusable_or_obsolete()
        for project, rows in by_project.items():
            _see(seen, project, rows)
    except Error as error:
        logger.warning("images of requests are not read: %s", error)  # the texts alone answer
    return seen


def _see(questions: list[Mapping[str, Any]], project: int, rows: Sequence[int]) -> None:
    addresses = [address_of(questions[row]["features"]) for row in rows]
    want_images(
        project,
        [one for one, row in zip(addresses, rows, strict=True) if questions[row].get(NOTES_IMAGE)],
    )
    vectors = image_vectors_at(project, addresses)
    if vectors is None:
        return
    for row, vector in zip(rows, vectors, strict=True):
        if vector.any():
            features = {**questions[row]["features"], IMAGE: vector}
            questions[row] = {**questions[row], "features": features}
