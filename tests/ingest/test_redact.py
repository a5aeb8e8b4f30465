"""Redaction: the corpus of 344 texts with secrets and 336 without, and what holds for any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.redaction import CORPUS, judge_corpus
from experiments.ingest.redact import redact


def test_the_corpus_is_redacted_with_few_errors():
    judged = judge_corpus()
    assert judged["positive texts"] >= 300
    assert judged["negative texts"] >= 300
    assert judged["recall"] >= 0.98
    assert judged["precision"] >= 0.98


@pytest.mark.parametrize(
    ("text", "redacted", "kinds"),
    [
        ("Write to anna@example.com!", "Write to [email]!", ["email"]),
        ("https://x.example/?token=abc&page=2", "https://x.example/?token=[url_secret]&page=2", ["url_secret"]),
        ("4532 0151 1283 0366 is mine", "[card] is mine", ["card"]),
        ("4532 0151 1283 0367 fails Luhn", "4532 0151 1283 0367 fails Luhn", []),
        ("手机 １３８１２３４５６７８", "手机 [cn_mobile]", ["cn_mobile"]),
        ("call +49 30 901820 or mail a@b.de", "call [phone] or mail [email]", ["email", "phone"]),
        ("<script>alert(1)</script>", "<script>alert(1)</script>", []),
    ],
)  # fmt: skip
def test_what_is_found_is_named(text, redacted, kinds):
    assert redact(text) == (redacted, kinds)


pieces = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.sampled_from([line.split('"')[3] for line in CORPUS.read_text().splitlines()[:200]]),
        st.from_regex(r"[0-9 .:@+-]{1,30}", fullmatch=True),
    ),
    max_size=6,
)


@given(pieces)
def test_a_redacted_text_has_nothing_left_to_redact(parts):
    once, _ = redact(" ".join(parts))
    assert redact(once) == (once, [])


HOSTILE = {
    "tokens": "http://a?" + "token" * 4000,
    "web tokens": "eyJaaaaa-" * 2500,
    "digits": "12 " * 7000,
    "country codes": "+86 138 " * 2500,
    "groups": "(1) " * 5000,
    "mails": ("a" * 63 + "@") * 300,
    "full width": "１２３ ４５６ " * 2500,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_texts_made_to_be_slow_are_done(text):
    once, _ = redact(text[:20_000])
    assert redact(once) == (once, [])


def test_where_numbers_are_too_many_every_long_one_goes():
    text = "\n".join(f"row {n} is 4111 11{n:02} and 12.50" for n in range(100))
    redacted, kinds = redact(text)
    assert kinds == ["phone"]
    assert "4111" not in redacted
    assert "row 99 is [phone] and 12.50" in redacted
    assert redact(redacted) == (redacted, [])
