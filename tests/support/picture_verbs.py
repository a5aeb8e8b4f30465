"""What prepares each verb of pictures, as `tests/dashboard/test_verbs.py` tries them."""

from __future__ import annotations

import io

from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from experiments.actions.picture_variant import put_variant_picture
from experiments.models import VariantPicture
from tests.support import builders
from tests.support.dashboard import report_path
from tests.support.verb_step import Step


def draw_picture(size=(60, 40), *, kind="PNG", colour="teal", **options) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind, **options)
    return file.getvalue()


class ManyTimes(SimpleUploadedFile):
    """A file that several requests of a test send, from its beginning each time."""

    def read(self, *size):
        if not size:
            self.seek(0)
        return super().read(*size)


def upload(content: bytes | None = None, name: str = "home.png") -> SimpleUploadedFile:
    return ManyTimes(name, draw_picture() if content is None else content, "image/png")


def add(shop):
    experiment = shop.define(builders.make_version(shop.surface, list(range(1, 11))))
    page = report_path(experiment)
    stored = VariantPicture.objects.filter(variant__experiment=experiment, variant__key="treatment")
    return Step(
        f"{page}variants/treatment/picture/", {"treatment-picture": upload()}, stored.exists, page,
        {"data_picture": "treatment"},
    )  # fmt: skip


def delete(shop):
    experiment = shop.define(builders.make_version(shop.surface, list(range(1, 11))))
    variant = experiment.variants.get(key="control")
    put_variant_picture(variant=variant, content=draw_picture(), by="a test")
    page = report_path(experiment)
    return Step(
        f"{page}variants/control/picture/delete/", {},
        lambda: not VariantPicture.objects.filter(variant=variant).exists(), page,
        shows_no_more={"data_picture": "control"},
    )  # fmt: skip


PICTURE_VERBS = {"variant-picture-add": add, "variant-picture-delete": delete}
