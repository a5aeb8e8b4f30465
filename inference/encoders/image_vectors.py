"""Vectors of the catalogue's images: fetched by the one way out or uploaded, embedded once, stored.

Guarantee: whatever an address answers, an item is served by its text as before; what is not used is
recorded with one sentence.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from inference.encoders.locate import locate_encoder
from inference.models import FetchedImage, ImageVector, UploadedImage
from inference.outgoing import (
    ALLOW,
    AddressRefusedError,
    AllowError,
    AnswerTooLargeError,
    OutgoingError,
    check_address,
)
from inference.outgoing_wait import get_and_wait
from inference.trace_context import TracedThreads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.db.models import QuerySet
    from PIL import Image

    from inference.encoders.image_encoder import ImageEncoder
    from inference.models import Item
    from inference.serving.artifact import Floats

MAX_BYTES = 10 * 2**20
FETCH_SECONDS = 10.0
AT_ONCE = 8  # requests: one slow host must not hold up the others
BATCH = 16  # images in memory, at most 160 MB of them
CLAIM = timedelta(minutes=5)  # after which what a dead worker had taken is fetched by another
PAUSES = (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))  # where a failure may pass
MAX_READ = 5000  # rows a statement reads


@cache
def image_encoder_path() -> str:
    """Return where the configured image encoder lies; empty where none is configured.

    Raises:
        NotFoundError: it cannot be had.
    """
    name = settings.BAKEOFF.image_encoder
    return locate_encoder(name, settings.BAKEOFF.home / "cache" / "encoders") if name else ""


@cache
def image_encoder_sha256() -> str:
    """Return the hash of the configured image encoder.

    Raises:
        NotFoundError: it cannot be had.
    """
    from inference.encoders.image_encoder import sha256_of_image_encoder  # noqa: PLC0415  Pillow

    return sha256_of_image_encoder(image_encoder_path())


@cache
def load_image_encoder() -> ImageEncoder:
    """Return this process's image encoder; the first call loads it."""
    # Pillow and torch enter a process only here.
    from inference.encoders.image_encoder import ImageEncoder  # noqa: PLC0415

    return ImageEncoder(image_encoder_path())


def want_images(project_id: int, urls: Iterable[str]) -> int:
    """Note which addresses a worker should fetch; return how many are due of these.

    One that was fetched under another encoder is due again: of what is fetched, images are not kept.
    """
    if not image_encoder_path():
        return 0
    distinct = sorted({url for url in urls if url})
    due = 0
    for start in range(0, len(distinct), MAX_READ):
        keys = {FetchedImage.key_of(url): url for url in distinct[start : start + MAX_READ]}
        rows = FetchedImage.objects.filter(project_id=project_id, url_sha256__in=keys)
        known = dict(rows.values_list("url_sha256", "image_sha256"))
        FetchedImage.objects.bulk_create(
            [
                FetchedImage(project_id=project_id, url_sha256=key, url=url, due_at=Now())
                for key, url in keys.items()
                if key not in known
            ],
            ignore_conflicts=True,  # another worker may have noted it meanwhile
        )
        embedded = _vectors({digest for digest in known.values() if digest})
        lost = [key for key, digest in known.items() if digest and digest not in embedded]
        rows.filter(url_sha256__in=lost, due_at__isnull=True).update(due_at=Now(), tries=0)
        due += rows.filter(due_at__lte=Now()).count()
    return due


def any_image_is_due() -> bool:
    """Whether there is an image to be fetched now; never without an encoder that could read it."""
    return bool(settings.BAKEOFF.image_encoder) and _due(None).exists()


def _due(project_id: int | None) -> QuerySet[FetchedImage]:
    due = FetchedImage.objects.filter(due_at__lte=Now())
    return due if project_id is None else due.filter(project_id=project_id)


def fetch_due_images(*, seconds: float, project_id: int | None = None) -> list[FetchedImage]:
    """Fetch and embed what is due, oldest first, for so long; return what got its vector.

    Args:
        seconds: after which no further batch is begun.
        project_id: whose images; None for all.
    """
    end, embedded = time.monotonic() + seconds, []
    with TracedThreads(AT_ONCE) as threads:
        while time.monotonic() < end and (rows := _claim(project_id)):
            uploads = _uploads(rows)  # here: a connection to the database is one thread's
            waiting = {row.pk: threads.submit(_fetch, row.url) for row in rows if row.pk not in uploads}
            fetched = [uploads.get(row.pk) or waiting[row.pk].result() for row in rows]
            embedded += _embed(rows, fetched)
    return embedded


def _claim(project_id: int | None) -> list[FetchedImage]:
    """Take some rows; another worker leaves them alone for a while."""
    with transaction.atomic():
        # Skip what another worker is taking: two that wait for each other gain nothing.
        rows = list(
            _due(project_id).select_for_update(skip_locked=True).order_by("due_at", "pk")[:BATCH]
        )
        FetchedImage.objects.filter(pk__in=[row.pk for row in rows]).update(due_at=Now() + CLAIM)
    return rows


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What an address answered: content, or why it is not used and whether that may pass."""

    content: bytes = b""
    refusal: str = ""
    may_pass: bool = False


def _uploads(rows: Sequence[FetchedImage]) -> dict[int, _Fetched]:
    """Return those of the rows that were uploaded, by their keys."""
    fetched = {}
    for row in rows:
        if row.url.startswith(UploadedImage.ADDRESS):
            digest = row.url.removeprefix(UploadedImage.ADDRESS)
            stored = UploadedImage.objects.filter(project_id=row.project_id, sha256=digest).first()
            content = bytes(stored.content) if stored is not None else b""
            fetched[row.pk] = _Fetched(content, "" if content else "the image was erased.")
    return fetched


def _fetch(url: str) -> _Fetched:
    try:
        check_address(url)
        answer = get_and_wait(url, seconds=FETCH_SECONDS, max_bytes=MAX_BYTES)
    except (AddressRefusedError, AllowError) as error:
        return _Fetched(refusal=str(error))
    except AnswerTooLargeError:
        return _Fetched(refusal=f"the image is larger than {MAX_BYTES // 2**20} MB.")
    except OutgoingError:
        return _Fetched(
            refusal=f"the image's address gave no usable answer within {FETCH_SECONDS:g} s, or may not "
            f"be called (see {ALLOW}).",
            may_pass=True,
        )
    if answer.status != 200:
        return _Fetched(
            refusal=f"the image's address answered {answer.status}, must be 200; redirects are not "
            "followed.",
            may_pass=answer.status == 429 or answer.status >= 500,
        )
    return _Fetched(answer.content)


def _embed(rows: Sequence[FetchedImage], fetched: Sequence[_Fetched]) -> list[FetchedImage]:
    """Embed what came, and write down what became of each row; return those with a vector."""
    from inference.encoders.read_image import ImageRefusedError, read_image  # noqa: PLC0415  Pillow

    images = {}
    for row, one in zip(rows, fetched, strict=True):
        row.image_sha256, row.refusal = "", one.refusal[:400]
        if not one.refusal:
            try:
                digest = hashlib.sha256(one.content).hexdigest()
                images[digest] = read_image(one.content)
                row.image_sha256 = digest
            except ImageRefusedError as error:
                row.refusal = str(error)
    _store(images)
    for row, one in zip(rows, fetched, strict=True):
        again = one.may_pass and row.tries < len(PAUSES)
        row.due_at = Now() + PAUSES[row.tries] if again else None
        row.tries = row.tries + 1 if one.may_pass else 0
        still_there = FetchedImage.objects.filter(pk=row.pk).update(
            image_sha256=row.image_sha256,
            refusal=row.refusal,
            tries=row.tries,
            due_at=row.due_at,
            fetched_at=Now(),
        )
        if not still_there:  # erased with its item meanwhile
            erase_orphaned_vectors({row.image_sha256})
    return [row for row in rows if row.image_sha256]


def erase_orphaned_vectors(digests: set[str]) -> None:
    """Delete the vectors of those images that no address of any project leads to."""
    rows = FetchedImage.objects.filter(image_sha256__in=digests)
    orphans = digests - set(rows.values_list("image_sha256", flat=True))
    ImageVector.objects.filter(image_sha256__in=orphans).delete()


def _store(images: dict[str, Image.Image]) -> None:
    new = {digest: images[digest] for digest in images.keys() - _vectors(images).keys()}
    if not new:
        return
    vectors = load_image_encoder().encode(list(new.values())).astype("<f4")
    ImageVector.objects.bulk_create(
        [
            ImageVector(
                encoder_sha256=image_encoder_sha256(), image_sha256=digest, vector=vector.tobytes()
            )
            for digest, vector in zip(new, vectors, strict=True)
        ],
        ignore_conflicts=True,  # another worker may have embedded the same image meanwhile
    )


def _vectors(digests: Iterable[str]) -> dict[str, bytes]:
    """Return the vectors of images by their hashes, as far as there are any."""
    vectors = ImageVector.objects.filter(
        encoder_sha256=image_encoder_sha256(), image_sha256__in=list(digests)
    )
    return {digest: bytes(vector) for digest, vector in vectors.values_list("image_sha256", "vector")}


def image_vectors_of(items: Sequence[Item]) -> Floats | None:
    """Return the vectors of items' images as far as there are any, float32 (n, width).

    Zeros where there is none; None where no item has one, or no image encoder is configured.
    """
    return _vectors_at({item.project_id for item in items}, [item.image_address for item in items])


def image_vectors_at(project_id: int, addresses: Sequence[str]) -> Floats | None:
    """Return the vectors of the images at some addresses of a project, as `image_vectors_of`.

    Args:
        project_id: whose images.
        addresses: n of them; empty for none.
    """
    return _vectors_at({project_id}, addresses)


def _vectors_at(projects: set[int], addresses: Sequence[str]) -> Floats | None:
    if not image_encoder_path():
        return None
    by_key: dict[str, bytes] = {}
    keys = [FetchedImage.key_of(one) if one else "" for one in addresses]
    wanted = sorted({key for key in keys if key})
    for start in range(0, len(wanted), MAX_READ):
        rows = FetchedImage.objects.filter(
            Q(project_id__in=projects) & Q(url_sha256__in=wanted[start : start + MAX_READ])
        ).exclude(image_sha256="")
        images = dict(rows.values_list("url_sha256", "image_sha256"))
        vectors = _vectors(set(images.values()))
        by_key |= {key: vectors[digest] for key, digest in images.items() if digest in vectors}
    if not by_key:
        return None
    width = len(next(iter(by_key.values()))) // 4
    result = np.zeros((len(addresses), width), dtype=np.float32)
    for row, key in zip(result, keys, strict=True):
        if key in by_key:
            row[:] = np.frombuffer(by_key[key], dtype="<f4")
    return result


def refusals_of(project_id: int, addresses: Iterable[str] | None = None) -> dict[str, int]:
    """Return why images of a project are not used, and how many each.

    Args:
        project_id: whose images.
        addresses: of which; None for all.
    """
    counts: dict[str, int] = {}
    rows = FetchedImage.objects.filter(project_id=project_id).exclude(refusal="")
    if addresses is not None:
        rows = rows.filter(url_sha256__in={FetchedImage.key_of(one) for one in addresses if one})
    for refusal in rows.order_by("pk").values_list("refusal", flat=True).iterator():
        counts[refusal] = counts.get(refusal, 0) + 1
    return counts
