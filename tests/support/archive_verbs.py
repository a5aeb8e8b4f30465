"""What prepares the verbs that put surfaces and metrics away."""

from __future__ import annotations

from django.urls import reverse

from tests.support import builders
from tests.support.verb_step import Step


def put_away(kind: str, verb: str):
    """Return what prepares a verb: an unused row, archived where the verb is of such."""

    def prepare(shop):
        rows = getattr(shop.project, f"{kind}s")
        fields = {"kind": "mean", "event": "buy"} if kind == "metric" else {}
        is_archived = verb == "restore" or (kind, verb) == ("surface", "delete")
        at = builders.now() if is_archived else None
        row = rows.create(key="unused", archived_at=at, **fields)
        after = rows.filter(pk=row.pk, archived_at__isnull=verb != "archive")
        page = reverse(kind, args=[shop.project.slug, row.key])
        address = f"{page}act/{verb}/"
        if verb == "delete":
            listed = reverse(f"{kind}s", args=[shop.project.slug]) + "?archived" * is_archived
            gone = {f"data_{kind}": row.key}
            return Step(
                address, {}, lambda: not rows.filter(pk=row.pk).exists(), listed, shows_no_more=gone
            )
        if verb == "restore":
            return Step(address, {}, after.exists, page, shows_no_more={"data_archived": ""})
        return Step(address, {}, after.exists, page, {"data_archived": ""})

    return prepare


ACTS = ("archive", "restore", "delete")
ARCHIVE_VERBS_OF_SURFACES = {f"surface-act {verb}": put_away("surface", verb) for verb in ACTS}
ARCHIVE_VERBS_OF_METRICS = {f"metric-act {verb}": put_away("metric", verb) for verb in ACTS}
