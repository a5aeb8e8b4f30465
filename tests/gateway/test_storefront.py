"""A shop in use. Full size: make bench ONLY=storefront."""

from __future__ import annotations

from experiments.models import Slate
from inference.models import Surface
from tests.support import builders
from tests.support.storefront import SURFACE, Storefront, catalogue, unequal_chances

ITEMS, VISITORS, ANSWERS = 500, 60, 600


def test_no_answer_holds_what_is_sold_out_hidden_or_bought(lane, shop):
    headers = {"Authorization": f"Bearer {shop.secret}"}
    answer = lane.client.put("/v1/items", json={"items": catalogue(ITEMS)}, headers=headers)
    assert answer.status_code == 200, answer.text
    surface = Surface.objects.create(
        project=shop.project, key=SURFACE, exploration=0.5, static_list=["i1", "i2"]
    )
    builders.make_version(surface, list(range(ITEMS, 0, -1)), alias="champion")
    lane.refresh()
    front = Storefront(lane.url, shop.public, shop.secret, items=ITEMS, visitors=VISITORS, grace=5.0)
    findings = front.run(ANSWERS, threads=4, seconds=8)
    assert findings.wrong == {}, findings
    assert not findings.refused
    assert findings.answers >= ANSWERS
    assert min(findings.flips, findings.pins, findings.acts, findings.sold_out) > 10, findings
    slates = Slate.objects.filter(project=shop.project, surface=surface)
    logged = list(slates.values_list("slots", "exploration"))
    assert len(logged) >= ANSWERS
    assert unequal_chances(logged) == []
