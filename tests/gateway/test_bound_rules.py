"""Rules over many items: what takes long is done beside the event loop, and means the same."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from bakeoff.gateway.http.errors import ApiError
from bakeoff.gateway.slates.bound_rules import bind, make_ready
from experiments.slate_rules import columns, filters, long_work
from experiments.slate_rules.filters import Filters
from experiments.slate_rules.rules import NO_RULES, SlateRules
from inference.serving.catalogue import Catalogue
from inference.serving.catalogue_row import CatalogueRow

ITEMS = 60  # with a limit of 10 in place of 2,000
RULES = {
    "filter": {"sku": {"$regex": "7$"}, "group_id": "g7", "note": {"$exists": False}},
    "boost": [{"filter": {"labels": "l3"}, "by": 2}],
    "bury": {"$or": [{"sku": {"$in": ["s1", "s2"]}}, {"$not": {"maker.name": {"$ne": "m1"}}}]},
    "caps": {"sku": 2},
    "diversity": {"by": "labels", "strength": 0.3},
}


def rows(start, stop):
    return [
        CatalogueRow(
            f"i{n}",
            fields={"group_id": f"g{n}", "labels": (f"l{n}", "all")},
            properties={"sku": f"s{n}", "maker": {"name": f"m{n % 3}"}},
        )
        for n in range(start, stop)
    ]


@pytest.fixture
def seen(monkeypatch):
    """Note in which thread each value is read, and each test of a value asked."""
    seen = []
    read, ask = columns.reader_of, filters.test_of

    def noting(make):
        def counted(about):
            inner = make(about)

            def call(value):
                seen.append(threading.get_ident())
                return inner(value)

            return call

        return counted

    monkeypatch.setattr(columns, "reader_of", noting(read))
    monkeypatch.setattr(filters, "test_of", noting(ask))
    monkeypatch.setattr(long_work, "test_of", noting(ask))
    monkeypatch.setattr(long_work, "MAX_AT_ONCE", 10)
    return seen


def test_the_event_loop_reads_and_tests_little_at_once(seen):
    catalogue = Catalogue()
    catalogue.apply(rows(0, ITEMS), 1)
    ours, rules = Filters(catalogue), SlateRules.parse(RULES)

    async def bound():
        return await bind(NO_RULES, rules, ours, context={}, exclude=())

    with pytest.raises(ApiError, match="no item has a property 'note'"):
        asyncio.run(bound())
    catalogue.apply([CatalogueRow("noted", properties={"note": "x"})], 2)
    here = threading.get_ident()
    found = asyncio.run(bound())
    assert len(seen) > 2 * ITEMS
    # What a property has few values of is tested here, and of a change the rows are read.
    assert seen.count(here) <= 10 * 3
    expected = Filters(catalogue).mask(RULES["filter"], {})
    assert found.allowed.mask.tolist() == expected.tolist() == [n == 7 for n in range(ITEMS + 1)]
    seen.clear()
    again = asyncio.run(bound())
    assert not seen
    assert np.array_equal(again.allowed.mask, found.allowed.mask)
    catalogue.apply(rows(ITEMS, 2 * ITEMS), 3)
    asyncio.run(bound())
    assert seen.count(here) <= 10 * 3
    names = [f"i{n}" for n in range(2 * ITEMS)]
    ruled = asyncio.run(bound()).about(names, None).rules
    assert len({tuple(line) for line in ruled.caps[0].values.tolist()}) == 2 * ITEMS
    assert ruled.buried.sum() == 2 * ITEMS // 3 + 1  # each third, and s2


def test_a_group_among_many_is_no_test_of_each(seen):
    catalogue = Catalogue()
    catalogue.apply(rows(0, ITEMS), 1)
    ours = Filters(catalogue)
    asyncio.run(make_ready(ours, [{"group_id": ""}]))
    assert threading.get_ident() not in seen
    seen.clear()
    assert np.flatnonzero(ours.mask({"group_id": "g5"}, {})).tolist() == [5]
    assert np.flatnonzero(ours.mask({"group_id": {"$in": ["g5", "g6", "none"]}}, {})).tolist() == [5, 6]
    assert not ours.mask({"group_id": {"$in": []}}, {}).any()
    assert not seen
