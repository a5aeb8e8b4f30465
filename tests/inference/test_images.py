"""Images of items: fetched with care, embedded once, fused; and what they add, shown at the gate."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from experiments.actions.load_catalogue import write_items
from experiments.actions.reconcile import reconcile
from experiments.ingest.load_events import PastEvent, load_events
from inference.actions.embed_images import embed_images_for
from inference.actions.example_draft import ExampleDraft
from inference.actions.load_examples import load_examples
from inference.actions.load_items import ItemDraft
from inference.encoders import image_vectors
from inference.encoders.image_encoder import ImageEncoder, Preparation
from inference.encoders.image_vectors import any_image_is_due, image_vectors_of
from inference.encoders.locate import NotFoundError
from inference.encoders.read_image import ImageRefusedError, read_image
from inference.encoders.request_images import with_request_images
from inference.evaluation.gate import GateRule
from inference.models import FetchedImage, ImageVector, Item, Surface, TrainingRun
from inference.runs.ablation import ablation, notes_on_images
from inference.runs.outcome import Recipe, RunPlan, RunProgress, Workplace
from inference.runs.ranking_run import Catalogue, RankingRun
from inference.serving.example_images import IMAGE, image_rows, width_of
from inference.serving.features import FeatureTable
from inference.tasks import embed_images, embed_items
from inference.training.snapshot import Likes
from inference.worker_threads import shared_model_worker, start_worker_threads
from tests.support import builders
from tests.support.broker import lose_messages, messages
from tests.support.commands import run as run_bakeoff
from tests.support.fast_lane import test_database_url
from tests.support.images import COLOURS, ImageHost, draw, make_tiny_vit, save_as_graph
from tests.support.learning import train

COLOURS_LIKED = COLOURS[:6]
KNOWN, UNITS = 48, 48  # items that several like; units, each of whom likes a new one last


@pytest.fixture(scope="module")
def tiny_vit(tmp_path_factory):
    return make_tiny_vit(tmp_path_factory.mktemp("vit") / "encoder")


@pytest.fixture(scope="module")
def host():
    host = ImageHost()
    yield host
    host.close()


@pytest.fixture
def eyes(tiny_vit, settings, monkeypatch, host):
    """The platform reads images of this host, by a tiny encoder."""
    monkeypatch.setenv("BAKEOFF_IMAGE_ENCODER", str(tiny_vit))
    monkeypatch.setenv("BAKEOFF_OUTGOING_ALLOW", "127.0.0.1")
    settings.BAKEOFF = replace(settings.BAKEOFF, image_encoder=str(tiny_vit))
    forget_encoder()
    yield
    forget_encoder()


def forget_encoder() -> None:
    for one in ("image_encoder_path", "image_encoder_sha256", "load_image_encoder"):
        getattr(image_vectors, one).cache_clear()


def catalogue(project, urls) -> list[Item]:
    """Items with these images, as a product sends them and a worker embeds them."""
    write_items(
        project_id=project.pk,
        items=[ItemDraft(f"i{n}", f"thing {n}", image_url=url) for n, url in enumerate(urls)],
    )
    items = list(Item.objects.filter(project=project).order_by("pk"))
    embed_items([item.pk for item in items])
    embed_images()
    return items


def images_of(project) -> dict[str, FetchedImage]:
    return {one.url.rpartition("/")[2]: one for one in FetchedImage.objects.filter(project=project)}


def test_an_image_is_fetched_and_embedded_once(project, eyes, tiny_bert, host):
    files = {"a.png": draw("red"), "b.jpg": draw("blue", form="JPEG"), "again.png": draw("red")}
    urls = [*host.put(files), "", host.url + "/a.png"]
    host.paths.clear()
    items = catalogue(project, urls)
    embed_items([item.pk for item in items])
    embed_images()
    assert sorted(host.paths) == ["/a.png", "/again.png", "/b.jpg"]
    vectors = image_vectors_of(items)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 0, 1], rel=1e-5)
    assert (vectors[0] == vectors[2]).all()
    assert (vectors[0] != vectors[1]).any()
    shared = {row.image_sha256 for row in FetchedImage.objects.filter(project=project)}
    assert ImageVector.objects.filter(image_sha256__in=shared).count() == 2


def bomb() -> bytes:
    """A PNG of a few hundred bytes that claims 900 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def huge(handler) -> None:
    """Fifty megabytes, without a word of how many beforehand."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(50):
        handler.wfile.write(bytes(2**20))


def redirect(handler) -> None:
    handler.send_response(302)
    handler.send_header("location", "http://169.254.169.254/latest/meta-data")
    handler.send_header("content-length", "0")
    handler.end_headers()


def silent(handler) -> None:
    handler.connection.recv(1)  # until the other side hangs up


def test_a_hostile_image_is_refused_with_a_reason_and_its_item_served_by_its_text(
    project, eyes, tiny_bert, host, monkeypatch
):
    monkeypatch.setattr(image_vectors, "FETCH_SECONDS", 2.0)
    page = b"<html><script>alert(1)</script></html>"
    files = {
        "huge": huge, "page": page, "bomb": bomb(), "redirect": redirect, "silent": silent,
        "cut": draw("red")[:90], "vector.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }  # fmt: skip
    elsewhere = [
        "http://10.0.0.1/private",
        "https://[::1]/loopback",
        "https://no-such-host.invalid/dns",
    ]
    items = catalogue(project, [*host.put(files), host.url + "/gone", *elsewhere])
    found = {name: row.refusal for name, row in images_of(project).items()}
    assert found == {
        "huge": "the image is larger than 10 MB.",
        "page": "the file is no image: it must be one of PNG, JPEG, WEBP, GIF.",
        "bomb": "the image has more than 40000000 pixels.",
        "redirect": "the image's address answered 302, must be 200; redirects are not followed.",
        "silent": "the image's address gave no usable answer within 2 s, or may not be called (see "
        "BAKEOFF_OUTGOING_ALLOW).",
        "cut": "the image is damaged.",
        "vector.svg": "the file is no image: it must be one of PNG, JPEG, WEBP, GIF.",
        "gone": "the image's address answered 404, must be 200; redirects are not followed.",
        "private": "'10.0.0.1' is no public address, and BAKEOFF_OUTGOING_ALLOW does not name it.",
        "loopback": "'::1' is no public address, and BAKEOFF_OUTGOING_ALLOW does not name it.",
        "dns": "the image's address gave no usable answer within 2 s, or may not be called (see "
        "BAKEOFF_OUTGOING_ALLOW).",
    }
    assert image_vectors_of(items) is None
    assert not Item.objects.filter(project=project, vector_due_at__isnull=False).exists()
    due = {name for name, row in images_of(project).items() if row.due_at is not None}
    assert due == {"silent", "dns"}  # what may pass is tried again, three times


def test_what_may_pass_is_tried_again(project, eyes, tiny_bert, host):
    def busy(handler) -> None:
        handler.send_response(503)
        handler.send_header("content-length", "0")
        handler.end_headers()

    catalogue(project, host.put({"late.png": busy}))
    rows = FetchedImage.objects.filter(project=project)
    for tries in (1, 2, 3):
        assert rows.get().tries == tries
        rows.update(due_at=timezone.now() - timedelta(seconds=1))
        lose_messages()
        reconcile()
        assert [] in messages("embed")  # of the task that takes no ids
        embed_images()
    assert rows.get().due_at is None  # given up, until its address changes
    rows.update(due_at=timezone.now() - timedelta(seconds=1))
    host.put({"late.png": draw("red")})
    assert embed_images_for(seconds=5) == 1
    assert rows.get().refusal == ""


def test_without_an_encoder_nothing_is_fetched(
    empty_platform, project, eyes, tiny_bert, host, settings
):
    (url,) = host.put({"unread.png": draw("red")})
    FetchedImage.objects.create(project=project, url=url, url_sha256=FetchedImage.key_of(url))
    settings.BAKEOFF = replace(settings.BAKEOFF, image_encoder="")
    forget_encoder()
    host.paths.clear()
    items = catalogue(project, [url])
    assert embed_images() == 0
    assert not any_image_is_due()
    assert host.paths == []
    assert image_vectors_of(items) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no image"),
        (b"\x89PNG\r\n\x1a\n", "no image|damaged"),
        (bytes(11 * 2**20), "must be at most"),
        (b"GIF89a" + b"\xff" * 40, "no image|damaged"),
    ],
)
def test_bytes_that_are_no_image_are_refused(content, reason):
    with pytest.raises(ImageRefusedError, match=reason):
        read_image(content)


def test_what_is_transparent_is_white():
    file = io.BytesIO()
    Image.new("RGBA", (2000, 10), (255, 0, 0, 0)).save(file, "PNG")
    image = read_image(file.getvalue())
    assert image.size[0] == 512
    assert image.getpixel((5, 0)) == (255, 255, 255)


def test_pixels_are_prepared_as_the_directory_says(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(
        '{"do_center_crop": true, "crop_size": {"height": 4, "width": 4}, "image_mean": [0, 0, 0],'
        ' "image_std": [0.5, 0.5, 0.5], "size": {"shortest_edge": 5}}'
    )
    wide = Image.new("RGB", (12, 4), "black")
    wide.paste("white", (4, 0, 8, 4))
    pixels = Preparation.read(tmp_path).pixels([wide])
    assert pixels.shape == (1, 3, 4, 4)
    assert (pixels == 2).all()  # the middle alone, divided by a half
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(NotFoundError, match="how large"):
        Preparation.read(tmp_path)


def test_a_graph_says_what_the_weights_say(tiny_vit, tmp_path):
    save_as_graph(tiny_vit, tmp_path)
    images = [read_image(draw(colour)) for colour in COLOURS[:3]]
    theirs = ImageEncoder(str(tmp_path)).encode(images)
    assert theirs == pytest.approx(ImageEncoder(str(tiny_vit)).encode(images), abs=1e-4)


def new_items_last() -> tuple[Likes, list[int]]:
    """Units that like one colour each, last an item that is new; and the colour of each item."""
    colours = [n % len(COLOURS_LIKED) for n in range(KNOWN + UNITS)]
    rng, rows = np.random.default_rng(0), []
    for unit in range(UNITS):
        new = KNOWN + unit  # of the unit's colour, and nobody else has liked it
        known = [n for n in range(KNOWN) if colours[n] == colours[new]]
        liked = [*rng.permutation(known)[:5], new]
        rows += [(f"u{unit:03}", f"i{item}", float(at)) for at, item in enumerate(liked)]
    return Likes(*map(list, zip(*rows, strict=True))), colours


@pytest.fixture
def gallery(tables, tiny_bert, eyes, host, monkeypatch) -> Surface:
    """Items whose texts say nothing: of new ones, images alone say who will like them."""
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    project = builders.make_project()
    likes, colours = new_items_last()
    images = {f"{n}.png": draw(COLOURS_LIKED[colour], n) for n, colour in enumerate(colours)}
    catalogue(project, host.put(images))
    start = timezone.now() - timedelta(days=1)
    columns = zip(likes.unit_ids, likes.item_ids, likes.liked_at, strict=True)
    events = [
        PastEvent(f"e{n}", "rating", unit, item, 5.0, start + timedelta(seconds=at))
        for n, (unit, item, at) in enumerate(columns)
    ]
    connection.ensure_connection()
    load_events(connection.connection, project.pk, events)
    return Surface.objects.create(project=project, key="home-feed", liked_events=["rating>=4"])


def test_where_the_image_decides_it_wins_at_the_gate(gallery, client):
    run = train(gallery, "item-knn")
    assert run.state == TrainingRun.State.PASSED, run.message
    rows = {row["reads"]: row["figures"]["ndcg"] for row in run.version.gate["about"]["ablation"]}
    assert rows["text_and_image"] > 2 * rows["text_only"]
    assert rows["image_only"] > 2 * rows["text_only"]
    client.force_login(builders.make_root())
    page = client.get(reverse("run", args=[run.pk])).content.decode()
    assert "text_and_image" in page
    assert f"{rows['text_and_image']:.4f}" in page
    shown = run_bakeoff("runs", "show", str(run.pk), "--project", gallery.project.slug)
    assert f"{rows['text_only']:.4f}" in shown


@pytest.mark.parametrize(
    ("algorithm", "params"),
    [
        ("two-tower", {"hidden": 16, "width": 16}),
        ("sasrec", {"width": 16, "min_steps": 150, "batch": 32, "history": 8}),
    ],
)
def test_what_is_trained_finds_new_items_by_their_images(tmp_path, algorithm, params):
    likes, colours = new_items_last()
    seen = np.eye(len(COLOURS_LIKED), dtype=np.float32)[colours]
    noise = np.random.default_rng(3).normal(size=(len(colours), 8)).astype(np.float32)
    names = [f"i{n}" for n in range(len(colours))]
    plan = RunPlan(Recipe(algorithm, params), None, GateRule(), Workplace(tmp_path))
    run = RankingRun.of(plan, likes, Catalogue(names, noise, images=seen))
    fit = run.timed_fit(plan.recipe, run.split.past, 0, RunProgress())
    rows = {row["reads"]: row["figures"]["ndcg"] for row in ablation(run, run.judge(fit.draft))}
    assert rows["text_and_image"] > 2 * rows["text_only"]
    assert notes_on_images(ablation(run, run.judge(fit.draft)), "ndcg") == []


def test_images_that_do_not_help_are_noted():
    rows = [
        {"reads": "text_only", "figures": {"ndcg": 0.25}},
        {"reads": "text_and_image", "figures": {"ndcg": 0.125}},
    ]
    assert notes_on_images(rows, "ndcg") == [
        "images do not help here: ndcg is 0.1250 with them, 0.2500 by texts alone."
    ]
    assert notes_on_images([], "ndcg") == []


def test_a_new_item_is_placed_by_its_image(eyes, lane, shop, tiny_bert, host):
    names = [f"i{n}" for n in range(10)]
    files = {f"shop{n}.png": draw(COLOURS[n % 2], n) for n in range(10)}
    drafts = [
        ItemDraft(name, "a thing", image_url=url)
        for name, url in zip(names, host.put(files), strict=True)
    ]
    write_items(project_id=shop.project.pk, items=drafts)
    (url,) = host.put({"new.png": draw(COLOURS[1], 99)})
    write_items(project_id=shop.project.pk, items=[ItemDraft("new", "a thing", image_url=url)])
    embed_items(list(Item.objects.filter(project=shop.project).values_list("pk", flat=True)))
    embed_images()
    nearest = Item.objects.get(project=shop.project, item_id="new").neighbours[:5]
    assert {name for name, _ in nearest} == {f"i{n}" for n in range(1, 10, 2)}


LABELS = dict(zip(("shoes", "bags", "hats"), COLOURS, strict=False))


@pytest.fixture
def photos(shop, tiny_bert, eyes, host, monkeypatch) -> Surface:
    """Texts that say nothing of their labels, with images that say all; three of them bad."""
    monkeypatch.setenv("DATABASE_URL", test_database_url())
    surface = Surface.objects.create(project=shop.project, key="photos", kind="classify")
    rng = np.random.default_rng(0)
    labels = [label for label in LABELS for _ in range(50)]
    urls = host.put({f"p{n}.png": draw(LABELS[label], n) for n, label in enumerate(labels)})
    urls[:3] = [*host.put({"big": huge, "page": b"<html></html>"}), "http://10.0.0.1/private"]
    drafts = [
        ExampleDraft(f"e{n}", " ".join(rng.choice(["heat", "rain"], 2)), label, {"image_url": url})
        for n, (label, url) in enumerate(zip(labels, urls, strict=True))
    ]
    load_examples(surface_id=surface.pk, examples=drafts)
    return surface


def test_where_the_image_decides_the_label_it_is_learnt_and_served(photos, shop, lane, host, client):
    run = train(photos, "frozen-head")
    assert run.state == TrainingRun.State.PASSED, run.message
    about = run.version.gate["about"]
    accuracy = {row["reads"]: row["figures"]["accuracy"] for row in about["ablation"]}
    assert accuracy["text_and_image"] >= 0.9
    assert accuracy["image_only"] >= 0.9
    assert accuracy["text_only"] <= 0.6
    assert about["images"] == {
        "items": 150,
        "with_image": 147,
        "refused": {
            "the image is larger than 10 MB.": 1,
            "the file is no image: it must be one of PNG, JPEG, WEBP, GIF.": 1,
            "'10.0.0.1' is no public address, and BAKEOFF_OUTGOING_ALLOW does not name it.": 1,
        },
    }
    client.force_login(builders.make_root())
    page = client.get(reverse("run", args=[run.pk])).content.decode()
    assert "147 of 150 have an image that was read." in page
    assert f"{accuracy['text_only']:.4f}" in page
    shown = run_bakeoff("runs", "show", str(run.pk), "--project", shop.project.slug)
    assert f"{accuracy['text_only']:.4f}" in shown
    photos.versions.filter(pk=run.version_id).update(alias="champion")
    lane.refresh()
    check_requests(photos, shop, lane, host, run.version)


def check_requests(photos, shop, lane, host, version) -> None:
    """An image that nobody has read yet is noted by a secret key alone, read, and then decides."""
    new = dict(zip(LABELS, host.put({f"n{c}.png": draw(c, 999) for c in LABELS.values()}), strict=True))

    def first_label(url, key):
        body = {"surface": "photos", "unit_id": "u1", "text": "rain", "features": {"image_url": url}}
        answer = lane.post("/v1/classify", body, key).json()
        assert answer["fallback"] is None
        return answer["labels"][0]["label"], answer["labels"][0]["score"]

    stopping = start_worker_threads()
    try:
        shared_model_worker().load(version.artifact_sha256)
        noted = FetchedImage.objects.filter(project=shop.project, url__in=new.values())
        blind = {first_label(url, shop.public) for url in new.values()}
        assert len(blind) == 1  # by the text alone
        assert not noted.exists()
        assert {first_label(url, shop.secret) for url in new.values()} == blind
        assert noted.count() == 3
        embed_images()
        assert {label: first_label(url, shop.public)[0] for label, url in new.items()} == {
            label: label for label in new
        }
        assert {first_label(host.url + "/n-nowhere", shop.public)} == blind
    finally:
        stopping.set()


def test_an_image_of_another_encoder_or_width_is_none():
    rows = [{IMAGE: np.ones(3, np.float32)}, {IMAGE: np.ones(4, np.float32)}, {IMAGE: 7}, {}]
    assert image_rows(rows, 4).tolist() == [[0] * 4, [1] * 4, [0] * 4, [0] * 4]
    assert width_of(rows[2:]) == 0
    assert not with_request_images([{"features": {"image_url": "https://x.example/a"}}], "none")[0].get(
        IMAGE
    )


def test_a_vector_is_no_feature_and_a_name_with_a_dollar_is():
    rows = [{IMAGE: np.ones(3, np.float32), "$price": n} for n in range(3)]
    table = FeatureTable.learn(rows)
    assert [column.name for column in table.numbers] == ["$price"]
    assert table.words == []
