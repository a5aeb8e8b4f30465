"""The page of feedback: what came, by experiment and variant."""

from __future__ import annotations

import re

from experiments.ingest.rows import Rows
from tests.support import builders
from tests.support.builders import QUICK_POLICY
from tests.support.dashboard import sign_in


def test_kinds_are_columns_with_means_and_what_is_outside_of_experiments_stands_last(shop):
    experiment = shop.run_experiment(**QUICK_POLICY)
    entries = []
    for unit, side, kind, value in (
        ("u1", "control", "rating", 2.0),
        ("u2", "control", "rating", 3.0),
        ("u3", "treatment", "rating", 5.0),
        ("u4", "", "thumb", -1.0),
    ):
        of = (
            {"experiment_id": experiment.pk, "variant_id": experiment.variants.get(key=side).pk}
            if side
            else {}
        )
        slate = builders.make_slate(shop, unit, **of)
        entries.append(builders.feedback(shop, slate, unit_id=unit, kind=kind, value=value))
    builders.write(Rows(feedback=entries))
    page = sign_in(shop.project).get(f"/p/{shop.project.slug}/feedback/").content.decode()
    table = page[page.index("<h2>By variant") :]
    assert re.findall(r"<th(?: [^>]*)?>(.*?)</th>", table) == [
        "Experiment",
        "Variant",
        "Thumb",
        "Rating",
    ]
    rows = [
        [
            re.sub(r"<[^>]*>", " ", cell).split()
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
        ]
        for row in re.findall(r"<tr data-said.*?</tr>", table, re.DOTALL)
    ]
    title = experiment.title.split()
    assert rows == [
        [title, ["Control"], ["–"], ["2", "mean", "2.50"]],
        [title, ["Treatment"], ["–"], ["1", "mean", "5.00"]],
        [["Outside", "of", "experiments"], ["–"], ["1", "mean", "−1.00"], ["–"]],
    ]
