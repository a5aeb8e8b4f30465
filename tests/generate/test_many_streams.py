"""Many streams at once, cut at random by providers and clients: each has one record that says what happened."""

from __future__ import annotations

from tests.support.cut_streams import OUTCOMES, cut_streams


def test_each_has_one_record(chat):
    fates = cut_streams(chat, streams=30, seed=1)
    slates = {one.context["variables"]["number"]: one.generation for one in chat.slates()}
    assert len(slates) == chat.slates().count() == len(fates) == 30
    assert {fates[int(number)] for number in slates} == set(OUTCOMES)
    for number, facts in slates.items():
        assert facts["outcome"] in OUTCOMES[fates[int(number)]], fates[int(number)]
