"""Images of items as files: judged before they are kept, read in place of an address, erased with items."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from experiments.actions.load_catalogue import remove_items, write_items
from inference.actions.load_items import ItemDraft
from inference.encoders import image_vectors
from inference.encoders.image_vectors import image_vectors_of
from inference.encoders.read_image import read_image
from inference.models import FetchedImage, ImageVector, Item, UploadedImage
from inference.tasks import embed_images, embed_items
from inference.training.catalogue_hash import catalogue_sha256
from tests.support.images import draw, make_tiny_vit


def forget_encoder() -> None:
    for one in ("image_encoder_path", "image_encoder_sha256", "load_image_encoder"):
        getattr(image_vectors, one).cache_clear()


@pytest.fixture
def eyes(tmp_path, settings):
    """The platform reads images, and may fetch none."""
    settings.BAKEOFF = replace(settings.BAKEOFF, image_encoder=str(make_tiny_vit(tmp_path / "encoder")))
    forget_encoder()
    yield
    forget_encoder()


@pytest.fixture
def send(lane, shop):
    """Send an item's image as a product does."""

    def send(item_id, content, kind="image/png", method="PUT", key=shop.secret):
        headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
        path = f"/v1/item-images/{item_id}"
        return lane.client.request(method, path, content=content, headers=headers)

    return send


def embed(project) -> list[Item]:
    items = list(Item.objects.filter(project=project).order_by("pk"))
    embed_items([item.pk for item in items])
    embed_images()
    return items


def test_a_file_is_read_in_place_of_an_address_and_erased_with_its_item(eyes, shop, send, tiny_bert):
    # The addresses are private: were one read, it would be refused.
    drafts = [ItemDraft(f"a/{n}", f"thing {n}", image_url="https://10.0.0.1/x") for n in range(3)]
    write_items(project_id=shop.project.pk, items=drafts)
    remove_items(project_id=shop.project.pk, item_ids=[f"i{n}" for n in range(10)])
    before = catalogue_sha256(shop.project.pk)
    picture = Image.open(io.BytesIO(draw("red")))
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    noted = io.BytesIO()
    picture.save(noted, "PNG", exif=exif)
    answers = [
        send("a/0", noted.getvalue()),
        send("a/1", draw("blue", form="JPEG"), "image/jpeg; q=1"),
        send("a/2", draw("red")),
    ]
    assert [one.status_code for one in answers] == [200] * 3, [one.text for one in answers]
    digests = [one.json()["image_sha256"] for one in answers]
    assert digests[0] == digests[2] != digests[1]
    stored = UploadedImage.objects.filter(project=shop.project)
    assert stored.count() == 2
    assert b"taken at home" not in bytes(stored.get(sha256=digests[0]).content)
    items = embed(shop.project)
    vectors = image_vectors_of(items)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], rel=1e-5)
    wanted = image_vectors.load_image_encoder().encode([read_image(draw("red"))])[0]
    assert vectors[0] == pytest.approx(wanted, abs=1e-5)
    assert (vectors[0] != vectors[1]).any()
    assert catalogue_sha256(shop.project.pk) != before
    # A product that writes the item as a whole keeps its image; one of two items leaves it the other.
    write_items(project_id=shop.project.pk, items=[ItemDraft("a/0", "thing")])
    assert Item.objects.get(project=shop.project, item_id="a/0").image_sha256 == digests[0]
    remove_items(project_id=shop.project.pk, item_ids=["a/0"])
    assert stored.count() == 2
    assert send("a/2", b"", method="DELETE").json()["image_sha256"] == ""
    remove_items(project_id=shop.project.pk, item_ids=["a/1"])
    assert not stored.exists()
    assert not ImageVector.objects.filter(image_sha256__in=digests).exists()
    left = FetchedImage.objects.filter(project=shop.project)
    assert not [row.url for row in left if row.url.startswith("uploaded:")]


def wide_claim() -> bytes:
    """A PNG that claims 900 million pixels."""
    content = bytearray(draw("red"))
    content[16:24] = struct.pack(">II", 30_000, 30_000)
    return bytes(content)


def test_what_is_no_image_is_refused_and_leaves_the_old_one(lane, shop, send):
    assert send("i0", draw("green")).status_code == 200
    before = Item.objects.get(project=shop.project, item_id="i0").image_sha256
    refused = {
        "not an image": (send("i0", b"<html></html>"), 422),
        "empty": (send("i0", b""), 422),
        "svg": (send("i0", b"<svg/>", "image/svg+xml"), 415),
        "a bomb": (send("i0", wide_claim()), 422),
        "cut": (send("i0", draw("red")[:90]), 422),
        "11 MB": (send("i0", bytes(11 * 2**20)), 413),
        "50 MB": (send("i0", bytes(50 * 2**20)), 413),
        "nobody's": (send("nothing", draw("red")), 404),
        "a public key": (send("i0", draw("red"), key=shop.public), 401),
    }
    assert {name: one.status_code for name, (one, _) in refused.items()} == {
        name: status for name, (_, status) in refused.items()
    }
    assert {one.json()["error"]["message"][:9] for one, status in refused.values() if status == 422} == {
        "the file ", "the image",
    }  # fmt: skip
    assert Item.objects.get(project=shop.project, item_id="i0").image_sha256 == before
    assert UploadedImage.objects.filter(project=shop.project).count() == 1


def test_an_image_that_no_model_reads_is_stored_with_a_hint(shop, send, settings):
    settings.BAKEOFF = replace(settings.BAKEOFF, image_encoder="")
    picture = draw("red")
    answer = send("i0", picture).json()
    assert answer["image_sha256"]
    assert "BAKEOFF_IMAGE_ENCODER" in answer["hint"]
    settings.BAKEOFF = replace(settings.BAKEOFF, image_encoder="some-encoder")
    assert send("i0", picture).json()["hint"] is None
