from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "clients" / "python"))
from bakeoff_client import BakeoffError, Client

from experiments.models import Event, Feedback


def test_it_asks_and_tells(lane, shop):
    client = Client(lane.url, shop.public)
    slate = client.recommend("home-feed", unit_id="u1", k=2)
    recommendation = slate["recommendation_id"]
    client.track("click", unit_id="u1", item_id="i0", recommendation_id=recommendation)
    client.feedback(recommendation, unit_id="u1", kind="thumb", value=1)
    assert str(Event.objects.get(project=shop.project).recommendation_id) == recommendation
    assert Feedback.objects.get(project=shop.project).value == 1


def test_it_compares_and_says_words(lane, shop):
    shop.run_experiment()
    lane.refresh()
    client = Client(lane.url, shop.public)
    pair = client.compare("home-feed", unit_id="u1", k=1)
    client.feedback(pair["recommendation_id"], unit_id="u1", kind="pairwise", value="tie")
    client.feedback(pair["recommendation_id"], unit_id="u1", kind="text", value="from a@b.de")
    texts = Feedback.objects.filter(project=shop.project).order_by("id").values_list("text", flat=True)
    assert list(texts) == ["tie", "from [email]"]


def test_a_refusal_names_its_reason(lane, shop):
    with pytest.raises(BakeoffError, match="Did you mean 'home-feed'") as refused:
        Client(lane.url, shop.public).recommend("home-fed", unit_id="u1")
    assert (refused.value.status, refused.value.code) == (404, "unknown_surface")


def test_nobody_answers():
    with pytest.raises(BakeoffError) as refused:
        Client("http://127.0.0.1:9", "pk_x").recommend("home-feed", unit_id="u1")
    assert refused.value.status == 0
