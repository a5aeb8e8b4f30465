"""How-tos are followed word by word: each request and each command, in the order of the page."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from bakeoff.accounts.models import ApiKey

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
# Those that need no more than a surface with a champion and a metric.
FOLLOWED = ("flag", "holdout", "keys", "metric", "rules", "side-by-side", "survey")


def calls_of(page: str) -> list[list[str]]:
    """Return the words of each call of a page's shell blocks, in their order."""
    calls = []
    for text in re.findall(r"```sh\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.DOTALL):
        parts = re.split(r"^ *(?=curl |bakeoff )", text.replace("\\\n", " "), flags=re.MULTILINE)
        calls += [shlex.split(part) for part in parts if part.strip()]
    return calls


def send(lane, shop, words: list[str]):
    """Send what curl would send, its media type too."""
    method, address = words[words.index("-X") + 1], words[words.index("-X") + 2]
    headers = {"content-type": "application/x-www-form-urlencoded"} if "-d" in words else {}
    for name, _, value in (word.partition(": ") for before, word in pairwise(words) if before == "-H"):
        headers[name.lower()] = value.replace("$SECRET", shop.secret)
    body = words[words.index("-d") + 1] if "-d" in words else None
    path = address.removeprefix("localhost:8000")
    answer = lane.client.request(method, path, content=body, headers=headers)
    assert answer.status_code in {200, 201, 202}, (words, answer.text)
    assert not answer.json().get("rejected"), answer.text


@pytest.mark.parametrize("page", FOLLOWED)
def test_a_how_to_is_followed_word_by_word(lane, shop, console, page):
    first_key = ApiKey.objects.get(project=shop.project, prefix=shop.public[:8])
    calls = calls_of(page)
    assert calls
    for program, *words in calls:
        if program == "curl":
            send(lane, shop, words)
        else:
            here = {"3": str(first_key.pk)} if "revoke" in words else {}
            console(*[here.get(word, word) for word in words], "--project", shop.project.slug)
    if page == "keys":
        first_key.refresh_from_db()
        assert first_key.revoked_at is not None
        newest = ApiKey.objects.filter(project=shop.project).order_by("-pk")[:2]
        assert [one.name for one in newest] == ["shop-page", "shop-server"]
