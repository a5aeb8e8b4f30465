"""Texts in groups, their names, which themes go on, and what grows: by arrays, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.stats import fisher_exact

from experiments.themes.grouping import MIN_TEXTS, MIN_UNITS, group_texts
from experiments.themes.growth import Text, growth_of, users_by_week
from experiments.themes.identity import match_centres, origin_of
from experiments.themes.naming import MIN_USERS, terms_in, typical_words
from experiments.themes.text_vectors import (
    CHARACTERS,
    is_ideographic,
    knows_chinese,
    space_of,
    vectors_in,
)
from inference.serving.centred import unit_length

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday


def clouds(sizes, *, width=64, spread=0.03, seed=1):
    """Return texts around some directions, and the number of each one's direction."""
    rng = np.random.default_rng(seed)
    centres = unit_length(rng.normal(size=(len(sizes), width)).astype(np.float32))
    truth = np.repeat(np.arange(len(sizes)), sizes)
    return unit_length(centres[truth] + rng.normal(scale=spread, size=(len(truth), width))), truth


def first_groups(vectors, units):
    """Return the groups of a first reading."""
    return group_texts(vectors, units, space="x", origin=origin_of(np.empty((0, 64)), vectors))


def test_clouds_are_found_whole_and_the_largest_first():
    vectors, truth = clouds([60, 40, 25])
    groups = first_groups(vectors, [str(n) for n in range(len(vectors))])
    assert [len(group.rows) for group in groups] == [60, 40, 25]
    for group in groups:
        assert len(set(truth[group.rows].tolist())) == 1
        assert (np.diff(group.closeness) <= 0).all()
        assert group.centre == pytest.approx(vectors[group.rows].mean(0), abs=1e-6)


def parts_and_another(size, other):
    """Return texts of a theme whose three parts lie a little apart, and after them those of another."""
    rng = np.random.default_rng(3)
    theme, second = unit_length(rng.normal(size=(2, 64)).astype(np.float32))
    parts = theme + 0.3 * unit_length(rng.normal(size=(3, 64)).astype(np.float32))
    centres = np.repeat(np.vstack([unit_length(parts), second]), [size] * 3 + [other], axis=0)
    return unit_length((centres + rng.normal(scale=0.03, size=centres.shape)).astype(np.float32))


def test_a_theme_that_becomes_nearly_all_texts_does_not_fall_into_its_parts():
    before, vectors = parts_and_another(14, 40), parts_and_another(60, 20)
    earlier = np.stack([before[:42].mean(0), before[42:].mean(0)])
    units = [str(n) for n in range(len(vectors))]
    groups = group_texts(vectors, units, space="x", origin=origin_of(earlier, vectors))
    (first, second) = groups
    assert set(first.rows.tolist()) <= set(range(180))
    assert set(second.rows.tolist()) == set(range(180, 200))
    # From the mean of all texts, which lies in the theme, its parts are three.
    assert len(first_groups(vectors, units)) == 4


def test_what_resembles_nothing_is_in_no_group():
    vectors, _ = clouds([60, 60])
    rng = np.random.default_rng(5)
    noise = unit_length(rng.normal(size=(8, 64)).astype(np.float32))
    groups = first_groups(np.vstack([vectors, noise]), [str(n) for n in range(128)])
    strays = {int(row) for group in groups for row in group.rows if row >= 120}
    assert len(strays) <= 2


def test_few_texts_and_one_busy_user_are_no_theme():
    vectors, _ = clouds([MIN_TEXTS - 1])
    assert first_groups(vectors, [str(n) for n in range(len(vectors))]) == []
    vectors, truth = clouds([60, 30])
    units = [f"u{n}" if own == 0 else f"busy{n % (MIN_UNITS - 1)}" for n, own in enumerate(truth)]
    groups = first_groups(vectors, units)
    assert [set(truth[group.rows].tolist()) for group in groups] == [{0}]


def test_a_name_has_the_words_of_several_users_and_of_its_own_group_above_all():
    late = [(f"a{n}", "The delivery was late, Mr Smithson, again late delivery") for n in range(2)]
    late += [(f"b{n}", "delivery late and the driver lost") for n in range(4)]
    price = [(f"c{n}", "the price is too high, a high price") for n in range(6)]
    words = typical_words([late, price, [("z", "delivery price nothing")]])
    assert words[0][0] in {"late", "delivery late", "late delivery", "delivery"}
    assert words[1][0] in {"high", "price", "high price"}
    # Two users name him: fewer than a word needs, and redaction knows no names.
    assert not any("smithson" in word for word in words[0])
    assert MIN_USERS == 3


def test_one_user_who_repeats_a_word_is_one_voice():
    texts = [("busy", "zebra zebra"), ("busy", "zebra"), ("busy", "a zebra")]
    others = [(f"u{n}", "the parcel is broken") for n in range(4)]
    (words,) = typical_words([texts + others, []])
    assert "zebra" not in words
    assert words


def test_chinese_is_named_by_sequences_of_characters():
    parcels = [(f"a{n}", "我的包裹什么时候到" if n % 2 else "包裹还没有到") for n in range(8)]
    refunds = [(f"b{n}", "我想退款，怎么申请退款") for n in range(8)]
    words = typical_words([parcels, refunds, []])
    assert any("包裹" in word for word in words[0])
    assert any("退款" in word for word in words[1])
    assert terms_in("我的包裹什么时候送达") == {
        "包裹",
        "时候",
        "候送",
        "送达",
        "时候送",
        "候送达",
        "时候送达",
    }


def test_centres_go_on_where_they_are_near_each_once():
    old = unit_length(np.eye(3, 8, dtype=np.float32))
    moved = unit_length(old + 0.05)[[2, 0]]
    stranger = unit_length(np.eye(1, 8, k=6, dtype=np.float32))
    assert match_centres(np.vstack([moved, stranger]), old) == [2, 0, None]
    # A theme that falls in two goes on in the nearer half.
    halves = unit_length(np.vstack([old[0] + 0.15 * old[1], old[0] + 0.05 * old[2]]))
    assert match_centres(halves, old[:1]) == [None, 0]
    assert match_centres(old[:0], old) == []
    assert match_centres(old, old[:0]) == [None] * 3


def spread_over_days(users, days):
    return [Text(user, NOW - timedelta(days=days)) for user in users]


def test_weeks_begin_on_monday_and_count_users():
    texts = [*spread_over_days(["a", "a", "b"], 0), *spread_over_days(["a"], 3)]
    assert users_by_week(texts) == {"2026-11-16": 1, "2026-11-23": 2}


def test_growth_is_fishers_test_on_users_and_corrected_for_all_themes():
    everyone = [
        *spread_over_days([f"r{n}" for n in range(100)], 2),
        *spread_over_days([f"b{n}" for n in range(300)], 20),
        *spread_over_days([f"o{n}" for n in range(500)], 60),
    ]
    grown = [*everyone[:30], *everyone[100:120]]
    steady = [*everyone[30:40], *everyone[200:230]]
    first, second = growth_of([grown, steady], everyone, NOW)
    expected = fisher_exact([[30, 70], [20, 280]], alternative="greater").pvalue
    assert first.p_value == pytest.approx(2 * expected)
    assert (first.recent_share, first.before_share) == (pytest.approx(0.3), pytest.approx(20 / 300))
    assert first.grows
    assert not second.grows


def test_growth_needs_users_and_a_before():
    recent = spread_over_days(["a", "b"], 1)
    (alone,) = growth_of([recent], recent, NOW)
    assert (alone.before_share, alone.p_value, alone.grows) == (None, None, False)


@pytest.mark.parametrize("seed", range(3))
def test_steady_themes_alert_rarely(seed):
    """Of a hundred readings with ten steady themes about one in twenty has an alert, at most."""
    rng = np.random.default_rng(seed)
    alerts = 0
    for _ in range(100):
        everyone = [
            *spread_over_days([f"r{n}" for n in range(60)], 1),
            *spread_over_days([f"b{n}" for n in range(240)], 15),
        ]
        own = rng.integers(10, size=len(everyone))
        themes = [
            [text for text, one in zip(everyone, own, strict=True) if one == k] for k in range(10)
        ]
        alerts += any(growth.grows for growth in growth_of(themes, everyone, NOW))
    assert alerts <= 10


class _Encoder:
    """Knows sentences by the pair that they belong to, or not at all."""

    def __init__(self, *, pairs: bool) -> None:
        self._pairs = pairs

    def encode(self, texts):
        rng = np.random.default_rng(0)
        own = rng.normal(size=(len(texts), 32))
        meaning = rng.normal(size=(len(texts) // 2 + 1, 32))[np.arange(len(texts)) // 2]
        return (own + (5 * meaning if self._pairs else 0)).astype(np.float32)


def test_texts_go_to_the_encoder_if_it_knows_their_language():
    knowing, ignorant = _Encoder(pairs=True), _Encoder(pairs=False)
    assert knows_chinese(knowing)
    assert not knows_chinese(ignorant)
    assert space_of("价格太贵 iPhone", knowing, "sha") == "sha"
    assert space_of("价格太贵 iPhone", ignorant, "sha") == CHARACTERS
    assert space_of("the price is 很 high", ignorant, "sha") == "sha"
    assert space_of("the price", None, "") == CHARACTERS
    assert not is_ideographic("123 !?")


def test_characters_are_counted_alike_in_every_process():
    first = vectors_in(CHARACTERS, ["Was soll das?", "was soll DAS", "", "包裹"], None)
    assert first.shape == (4, 1024)
    assert first[0] == pytest.approx(first[1])
    assert not first[2].any()
    assert float(first[0] @ first[3]) < 0.3
