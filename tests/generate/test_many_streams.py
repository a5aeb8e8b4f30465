"""Many streams at once, cut at random by providers and clients: each has one record that says what happened."""

from __future__ import annotations

import os

from tests.support.cut_streams import OUTCOMES, cut_streams

# "make test" cuts a few; BAKEOFF_TEST_STREAMS=1000 is the full proof.
STREAMS = int(os.environ.get("BAKEOFF_TEST_STREAMS", "30"))


def test_each_has_one_record(chat):
    fates = cut_streams(chat, streams=STREAMS, at_once=STREAMS, seed=1)
    slates = {one.context["variables"]["number"]: one.generation for one in chat.slates()}
    assert len(slates) == chat.slates().count() == len(fates) == STREAMS
    assert {fates[int(number)] for number in slates} == set(OUTCOMES)
    for number, facts in slates.items():
        assert facts["outcome"] in OUTCOMES[fates[int(number)]], fates[int(number)]
