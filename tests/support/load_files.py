"""Files that `bakeoff load` is given, and what it made of them."""

from __future__ import annotations

from inference.models import Item
from tests.support.commands import run


def write(folder, name, text, encoding="utf-8"):
    file = folder / name
    file.write_bytes(text.encode(encoding))
    return str(file)


def load(kind, file, project, *options, status=0):
    output = run("load", kind, file, "--project", project.slug, *options, status=status)
    return " ".join(output.split())


def items_of(project):
    return {item.item_id: item for item in Item.objects.filter(project=project)}
