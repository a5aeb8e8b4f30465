"""A test's draws are those of its name: who gets which variant is the same at every run."""

from __future__ import annotations


def test_units_get_the_same_variants_at_every_run(lane, shop):
    shop.run_experiment()
    lane.refresh()
    visits = [{"surface": "home-feed", "unit_id": f"u{n}"} for n in range(6)]
    variants = [lane.post("/v1/recommend", visit, shop.public).json()["variant"] for visit in visits]
    # These are of this test's name: under another name, others.
    assert " ".join(variants) == "control treatment control control treatment treatment"
