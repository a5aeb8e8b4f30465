"""A test is the same at every run: its draws are those of its name, its language is its own."""

from __future__ import annotations

from django.test import Client
from django.utils import translation


def test_units_get_the_same_variants_at_every_run(lane, shop):
    shop.run_experiment()
    lane.refresh()
    visits = [{"surface": "home-feed", "unit_id": f"u{n}"} for n in range(6)]
    variants = [lane.post("/v1/recommend", visit, shop.public).json()["variant"] for visit in visits]
    # These are of this test's name: under another name, others.
    assert " ".join(variants) == "control treatment control control treatment treatment"


def test_a_page_in_chinese_leaves_the_next_test_alone_first(tables):
    answer = Client(headers={"accept-language": "zh-hans"}).get("/sign-in/")
    assert "登录" in answer.content.decode()
    assert translation.get_language() == "zh-hans"  # what the next test would find


def test_a_page_in_chinese_leaves_the_next_test_alone_second():
    assert translation.get_language() == "en"
