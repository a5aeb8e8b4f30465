"""What passes the door can be written, stored and summed; what does not is named with its rule."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import bounds
from experiments.bounds import BoundsError

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def nested(levels: int):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "raw",
    [b'{"v": NaN}', b'{"v": -Infinity}', b'{"v": 1e400}', b'{"v": %s}' % (b"9" * 5000)],
)
def test_a_number_that_is_none_is_refused_where_it_stands(raw):
    data = bounds.read_json(raw)
    with pytest.raises(BoundsError, match=r"v == .*, must be a finite number\."):
        bounds.check(data, "body")


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"v": "a\\u0000b"}', "nul_character"),
        (b'{"a\\u0000b": 1}', "nul_character"),
        (b'{"v": ["cut \\ud83d"]}', "not_unicode"),
        (b'{"v\\udc00": 1}', "not_unicode"),
        (b'{"v": "\xff\xfe"}', "not_unicode"),
        (b'{"v": "\xed\xa0\xbd"}', "not_unicode"),
    ],
)
def test_text_that_cannot_be_stored_is_refused(raw, code):
    with pytest.raises(BoundsError) as refused:
        bounds.check(bounds.read_json(raw), "body")
    assert refused.value.code == code
    str(refused.value).encode()


def test_an_escaped_backslash_is_no_nul():
    assert bounds.check(bounds.read_json(rb'{"v": "\\u0000"}'), "body")


@pytest.mark.parametrize("levels", [33, 34, 253, 254, 255, 1023, 1024, 1025, 5000, 200_000])
def test_what_is_nested_too_deep_is_refused_at_any_depth(levels):
    raw = b'{"events": [1, ' + b"[" * levels + b"]" * levels + b"]}"
    first, deep = bounds.read_json(raw)["events"]
    assert first == 1
    with pytest.raises(BoundsError, match="at most 32 levels") as refused:
        bounds.check(deep, "event")
    assert refused.value.code == "too_deep"


def test_32_levels_and_brackets_in_text_pass():
    bounds.check(nested(32), "event")
    bounds.check({"text": "[{" * 500, "rows": [{"n": n} for n in range(50)]}, "event")


def test_a_value_larger_than_its_bound_is_refused():
    with pytest.raises(BoundsError, match="at most 10 bytes"):
        bounds.check({"text": "too long for it"}, "properties", max_bytes=10)


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a": 1} x', b"\xff", b"nan", b"[" * 5000, b'"\x01"'])
def test_what_is_no_json_is_refused(raw):
    with pytest.raises(bounds.NotJsonError):
        bounds.read_json(raw)


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(any_json)
def test_what_passes_is_read_back_the_same(value):
    raw = json.dumps(value).encode()
    try:
        packed = bounds.check(bounds.read_json(raw), "body")
    except BoundsError as refused:
        str(refused).encode()
        return
    assert b"\0" not in packed
    assert orjson.loads(packed) == bounds.read_json(raw)


@given(st.binary(max_size=400))
def test_no_bytes_raise_anything_else(raw):
    try:
        bounds.check(bounds.read_json(raw), "body")
    except (BoundsError, bounds.NotJsonError) as refused:
        str(refused).encode()


@pytest.mark.parametrize("value", [1e308, -1e308, 1.1e15, math.nan, math.inf, 10**400, True, "1", None])
def test_a_number_is_within_its_bounds(value):
    with pytest.raises(
        BoundsError, match=r"value (== .*|is missing), must be a number in \[-1e\+15, 1e\+15\]\."
    ):
        bounds.number(value, "value")


@pytest.mark.parametrize(("value", "number"), [("12", 12), (" -1.5e3 ", -1500), (".5", 0.5), (7, 7)])
def test_a_file_writes_plain_decimals(value, number):
    assert bounds.decimal(value, "value") == number


@pytest.mark.parametrize("value", ["1_000", "1,000", "nan", "inf", "", "0x10", "１２", "1e9999", b"1"])
def test_a_file_writes_nothing_else(value):
    with pytest.raises(BoundsError):
        bounds.decimal(value, "value")


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
        ("881250949", datetime(1997, 12, 4, 15, 55, 49, tzinfo=UTC)),
        (1_700_000_000.5, datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC)),
        (NOW.date(), NOW),
        (NOW.replace(tzinfo=None), NOW),
    ],
)
def test_a_log_has_times_of_many_kinds(value, at):
    assert bounds.past_moment(value, "occurred_at", now=NOW) == at


@pytest.mark.parametrize(
    "value",
    ["20261101", 20261101, "2026", "1_700_000_000", "1700000000000", "9999-12-31", "1e400", "01/02/2026",
     "1970-08-23", None, "", True, "nan", -1],
)  # fmt: skip
def test_a_time_that_is_none_is_refused_and_not_guessed(value):
    with pytest.raises(
        BoundsError, match=r"occurred_at (== .*|is missing), must be ISO 8601 or seconds"
    ):
        bounds.past_moment(value, "occurred_at", now=NOW)


@pytest.mark.parametrize(
    "hostile",
    [
        # Each took from half a minute to hours, and no thread could do anything meanwhile.
        lambda: bounds.read_json(b"[" * 3000 + b'"' + b'\\"' * 500_000),
        lambda: bounds.read_json(b"[" * 3000 + b'"' * 999_999),
        lambda: bounds.decimal("1" * 500_000 + "x", "value"),
        lambda: bounds.decimal("1" * 500_000 + "." + "1" * 500_000 + "e", "value"),
        lambda: bounds.check({"k" * 500_000: [*range(250_000), math.nan, bounds.Unfit("NaN")]}, "body"),
    ],
)
def test_no_input_takes_longer_than_its_length(hostile):
    """The body of a mebibyte ends in a moment, so that a faster machine changes nothing here."""
    with pytest.raises((bounds.NotJsonError, BoundsError)) as refused:
        hostile()
    assert len(str(refused.value)) < 500


def test_what_is_too_deep_is_found_behind_texts_with_brackets_and_quotes():
    raw = b'{"a": ["x\\"]]\\\\", ' + b"[" * 3000 + b'"\\\\"' + b"]" * 3000 + b'], "b": "}"}'
    data = bounds.read_json(raw)
    assert (data["a"][0], data["b"]) == ('x"]]\\', "}")
    with pytest.raises(BoundsError, match="nested at most 32 levels deep"):
        bounds.check(data, "body")
