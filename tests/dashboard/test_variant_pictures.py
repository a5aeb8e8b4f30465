"""Pictures of variants: what is stored of a file, who sees it, where it is shown, and how it goes."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from django.test import Client
from PIL import Image, ImageCms

from bakeoff.accounts.models import AuditEntry, Project
from bakeoff.dashboard.views.report import _frozen
from experiments.actions.picture_variant import MAX_EDGE, put_variant_picture
from experiments.actions.remove_sample import remove_sample
from experiments.models import VariantPicture
from inference.encoders.read_image import read_image
from tests.support import builders
from tests.support.browser import Visit
from tests.support.dashboard import make_user, report_path, shared_copy, sign_in
from tests.support.html import elements, has
from tests.support.picture_verbs import draw_picture, upload

NOTE = b"taken at home"


@pytest.fixture
def draft(shop):
    return shop.define(builders.make_version(shop.surface, list(range(1, 11))))


@pytest.fixture
def pictured(shop):
    experiment = shop.run_experiment()
    for variant, colour in zip(experiment.variants.all(), ("teal", "orange"), strict=True):
        put_variant_picture(variant=variant, content=draw_picture(colour=colour), by="a test")
    return experiment


def send(client, experiment, content, *, variant="treatment"):
    address = report_path(experiment, f"variants/{variant}/picture/")
    return client.post(address, {f"{variant}-picture": upload(content)})


def stored(experiment):
    return VariantPicture.objects.filter(variant__experiment=experiment)


def claim(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header claims that many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def test_a_picture_is_written_anew_without_notes_and_not_too_large(shop, draft):
    exif = Image.Exif()
    exif[0x010E] = NOTE.decode()
    photo = draw_picture((3000, 1500), kind="JPEG", exif=exif)
    assert NOTE in photo
    assert send(sign_in(shop.project, role="analyst"), draft, photo).status_code == 302
    (picture,) = stored(draft)
    content = bytes(picture.content)
    assert NOTE not in content
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size, dict(image.getexif())) == ("WEBP", (MAX_EDGE, 640), {})
    assert (picture.width, picture.height) == (MAX_EDGE, 640)


def swapped_profile() -> bytes:
    """Return an sRGB profile in which red and green have changed places."""
    content = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, green = content.index(b"rXYZ"), content.index(b"gXYZ")
    swapped = bytearray(content)
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(swapped)


def test_a_photo_of_a_telephone_stands_upright_in_its_colours(shop, draft):
    photo = Image.new("RGB", (60, 40), "red")
    photo.paste("black", (0, 0, 20, 40))  # the top, for a camera that was turned
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    photo.save(file, "PNG", exif=exif, icc_profile=swapped_profile())
    assert send(sign_in(shop.project, role="analyst"), draft, file.getvalue()).status_code == 302
    (picture,) = stored(draft)
    assert (picture.width, picture.height) == (40, 60)
    with Image.open(io.BytesIO(bytes(picture.content))) as image:
        assert dict(image.getexif()) == {}
        top, bottom = (image.convert("RGB").getpixel((20, y)) for y in (5, 50))
    assert max(top) < 40
    red, green, _ = bottom
    assert green > 200
    assert red < 60
    # As it was for encoders, whose vectors of images are kept.
    assert read_image(file.getvalue()).size == (60, 40)


@pytest.mark.parametrize("notes", [{"exif": b"Exif\0\0MM\0*\0\0\0\xff"}, {"icc_profile": b"none"}])
def test_notes_that_cannot_be_read_are_passed_over(notes):
    content = draw_picture(kind="JPEG", **notes)
    assert read_image(content, as_seen=True).size == (60, 40)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\0" * (50 * 2**20), "The picture is larger than 10 MB."),
        (b"<svg onload='alert(1)'/>", "This file is no picture. Choose one of PNG, JPEG, WEBP, GIF"),
        (claim(9_000, 9_000), "9000 × 9000 pixels: at most 40000000 in all"),
        (draw_picture()[:60], "The picture is damaged."),
        (b"", "The submitted file is empty."),
    ],
)
def test_what_is_no_picture_is_refused_at_its_field(shop, draft, content, sentence):
    client = sign_in(shop.project, role="analyst")
    entries = AuditEntry.objects.count()
    answer = send(client, draft, content)
    page = answer.content.decode()
    assert (answer.status_code, sentence in page) == (422, True)
    fields = [one for one in elements(page, tag="div") if "wrong" in one.get("class", "")]
    assert len(fields) == 1
    assert not stored(draft).exists()
    assert AuditEntry.objects.count() == entries
    chinese = client.post(
        report_path(draft, "variants/treatment/picture/"),
        {"treatment-picture": upload(content)}, headers={"accept-language": "zh-hans"},
    ).content.decode()  # fmt: skip
    assert sentence not in chinese


def test_another_one_takes_its_place_and_no_file_is_refused(shop, draft):
    client = sign_in(shop.project, role="analyst")
    send(client, draft, draw_picture())
    send(client, draft, draw_picture((20, 10)))
    assert stored(draft).get().width == 20
    assert client.post(report_path(draft, "variants/treatment/picture/")).status_code == 422
    assert send(client, draft, draw_picture(), variant="nobody").status_code == 404


def test_members_of_the_project_alone_see_it(shop, pictured):
    address = report_path(pictured, "variants/control/picture.webp")
    answer = sign_in(shop.project, role="viewer").get(address)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/webp")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer["Cache-Control"]
    assert sign_in(builders.make_shop().project, role="admin").get(address).status_code == 404
    assert Client().get(address).status_code == 302
    # Nor by the address of an experiment of one's own.
    other = builders.make_shop()
    own = other.run_experiment()
    client = sign_in(other.project, role="admin")
    assert client.get(report_path(own, "variants/control/picture.webp")).status_code == 404


def test_it_stands_beside_its_variant_on_the_page_and_in_copies(shop, pictured):
    page = sign_in(shop.project, role="viewer").get(report_path(pictured)).content.decode()
    shots = [one for one in elements(page, tag="img") if "picture.webp" in one["src"]]
    assert [one["alt"] for one in shots] == ["What users of Control saw", "What users of Treatment saw"]
    assert not has(page, data_picture_form="control")  # of analysts
    for copy in (shared_copy(pictured), _frozen(pictured)):
        inside = [one["src"] for one in elements(copy, tag="img")]
        assert all(one.startswith("data:image/webp;base64,") for one in inside)
        assert len(set(inside)) == 2
        assert "picture.webp" not in copy


def test_it_goes_with_its_variant_and_a_draft_that_is_discarded(shop, draft):
    client = sign_in(shop.project, role="analyst")
    send(client, draft, draw_picture())
    assert client.post(report_path(draft, "act/discard/")).status_code == 302
    assert not stored(draft).exists()


def test_it_stands_in_the_pdf(shop, pictured):
    pytest.importorskip("weasyprint")
    done = sign_in(shop.project, role="viewer").get(report_path(pictured, "report.pdf"))
    if done.status_code == 501:
        pytest.skip(done.content.decode())
    assert done.content.count(b"/Subtype /Image") >= 2


def test_it_goes_with_the_sample_shop(lane, shop, pictured):
    Project.objects.filter(pk=shop.project.pk).update(is_sample=True)
    shop.project.refresh_from_db()
    variants = list(pictured.variants.values_list("pk", flat=True))
    remove_sample(project=shop.project, by="a test")
    assert not VariantPicture.objects.filter(pk__in=variants).exists()


@pytest.mark.parametrize(
    "options",
    [{}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}, {"locale": "zh-CN"}],
)
def test_a_browser_adds_and_deletes_one(chromium, lane, shop, draft, tmp_path, options):
    file = tmp_path / "home.png"
    file.write_bytes(draw_picture((900, 500)))
    seen = Visit(chromium, lane, make_user(shop.project, role="analyst"), **options)
    page = seen.page
    page.goto(report_path(draft))
    page.locator("#pictures summary").click()
    form = page.locator('[data-picture-form="treatment"]')
    form.locator("input[type=file]").set_input_files(file)
    form.locator("button").click()
    image = page.locator('[data-picture="treatment"] img')
    image.wait_for()
    image.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('[data-picture] img').naturalWidth === 900")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.locator("#pictures summary").click()
    # It asks before, and who says no keeps it.
    page.once("dialog", lambda dialog: dialog.dismiss())
    delete = page.locator("#pictures form[data-confirm] button")
    delete.click()
    assert stored(draft).exists()
    page.once("dialog", lambda dialog: dialog.accept())
    delete.click()
    page.locator("[data-picture]").wait_for(state="detached")
    assert not stored(draft).exists()
    assert (seen.errors, seen.elsewhere) == ([], [])
    seen.close()
