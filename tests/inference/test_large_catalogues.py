"""Catalogues of more items than a request or a training step may go over."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from inference.options import FitOptions
from inference.recommenders import RECOMMENDERS
from inference.training.data import TrainingData

ITEMS = 60_000  # more than are scored within a request


def liked_together(units=200, items=ITEMS) -> TrainingData:
    """Units like ten items that stand next to each other, ten to twenty units the same ones."""
    rng = np.random.default_rng(0)
    starts = rng.choice(items // 10, 15, replace=False) * 10
    liked = [start + rng.permutation(10)[:8] for start in rng.choice(starts, units)]
    return TrainingData([f"i{n}" for n in range(items)], None, liked)


def test_item_knn_keeps_what_is_liked_together_and_no_more():
    data = liked_together()
    arrays = RECOMMENDERS["item-knn"].fit(data, FitOptions(params={"shrink": 3.0})).arrays
    item = int(data.liked[0][0])
    row = slice(arrays["starts"][item], arrays["starts"][item + 1])
    who = {
        j: {n for n, liked in enumerate(data.liked) if j in liked}
        for j in range(item // 10 * 10, item // 10 * 10 + 10)
    }
    cosines = {
        j: len(units & who[item]) / ((len(units) * len(who[item])) ** 0.5 + 3.0)
        for j, units in who.items()
        if j != item and units & who[item]
    }
    assert arrays["nearest"][row].tolist() == sorted(cosines)
    assert arrays["weights"][row] == pytest.approx([cosines[j] for j in sorted(cosines)], abs=1e-6)
    assert len(arrays["starts"]) == ITEMS + 1
    assert len(arrays["nearest"]) < 15 * 90 + 1


def test_ease_says_up_to_how_many_items_it_goes():
    with pytest.raises(ValueError, match="items == 60000, must be at most 30000 for 'ease'"):
        RECOMMENDERS["ease"].fit(liked_together(), FitOptions())


@pytest.mark.parametrize("of", ["the machine", "the container"])
def test_ease_takes_no_memory_that_is_not_there(monkeypatch, tmp_path, of):
    data = replace(liked_together(), item_ids=[f"i{n}" for n in range(20_000)])
    there, limit = (2, 90) if of == "the machine" else (90, 2)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=there * 10**9))
    monkeypatch.setattr("inference.free_memory.CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text(f"{limit * 10**9 + 10**9}\n")
    (tmp_path / "memory.current").write_text("1500000000\n")
    (tmp_path / "memory.stat").write_text("anon 1000000000\ninactive_file 500000000\n")
    rule = "whose inverse takes 3.2 GB of memory for 'ease', must take at most the 2.0 GB that are free"
    with pytest.raises(ValueError, match=rule):
        RECOMMENDERS["ease"].fit(data, FitOptions())
