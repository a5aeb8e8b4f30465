"""The operator's file of providers: read again when it changes, and never worth a key."""

from __future__ import annotations

from datetime import date

import pytest

from inference.providers import ProvidersError, parse_providers, providers_problem, read_providers
from inference.serving.prices import find_price, parse_prices

SECRET = "sk-not-to-be-seen"


@pytest.fixture
def file(tmp_path, monkeypatch):
    file = tmp_path / "providers.yaml"
    monkeypatch.setenv("BAKEOFF_PROVIDERS", str(file))
    return file


def test_it_is_read_again_when_it_changes(file, monkeypatch):
    file.write_text("big: {base_url: 'https://models.example/v1', projects: [shop]}")
    (big,) = read_providers().values()
    assert (big.url, big.key) == ("https://models.example/v1/chat/completions", "")
    assert (big.serves("shop"), big.serves("other")) == (True, False)
    monkeypatch.setenv("BAKEOFF_PROVIDER_KEY_BIG", SECRET)
    assert big.headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in repr(big)
    file.write_text("big-2: {base_url: 'https://models.example/v2'}")
    assert list(read_providers()) == ["big-2"]
    file.write_text("big-2: [")
    assert list(read_providers()) == ["big-2"]
    assert "not YAML" in providers_problem()
    file.unlink()
    assert "No such file" in providers_problem()


@pytest.mark.parametrize(
    "text",
    [
        "[1]", "Big: {base_url: 'https://models.example'}", "big: {}", f"big: {{base_url: x, key: {SECRET}}}",
        "big: {base_url: 'http://models.example'}", "big: {base_url: 'https://10.0.0.1'}",
        "big: {base_url: 'https://a:b@models.example'}", "big: {base_url: 'https://models.example', projects: shop}",
        "big: {base_url: 'https://models.example', prices: {m: {input: -1, output: 0}}}", "&a [*a]", "!!python/object:os.system {}",
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused(text):
    with pytest.raises(ProvidersError) as refused:
        parse_providers(text)
    assert SECRET not in str(refused.value)


def test_the_price_is_that_of_the_day():
    table = parse_prices(
        {
            "m": [{"from": "2026-02-01", "input": 2, "output": 4, "cached": 1}, {"from": date(2026, 1, 1), "input": 1, "output": 2}],
            "*": {"input": 9, "output": 9},
        },
        "prices",
    )  # fmt: skip
    days = {
        date(2025, 12, 31): 9.0,
        date(2026, 1, 1): 1.0,
        date(2026, 2, 1): 2.0,
        date(2030, 1, 1): 2.0,
    }
    assert {day: find_price([table], "m", day).input for day in days} == days
    assert find_price([{}], "m", date(2026, 1, 1)) is None
    dated = find_price([table], "m", date(2026, 3, 1))
    assert dated.of(tokens_in=1_000_000, tokens_out=500_000, tokens_cached=400_000) == pytest.approx(
        1.2 + 0.4 + 2.0
    )
