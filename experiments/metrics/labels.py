"""What people write on metrics and experiments: description, owner, tags. Nothing counts by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments import bounds
from experiments.bounds import BoundsError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_DESCRIPTION = 2000
MAX_OWNER = 150
MAX_TAGS = 10
MAX_TAG = 40
LABELS = ("name", "description", "owner", "tags")


def check_labels(*, description: object, owner: object, tags: Sequence[object]) -> None:
    """Refuse labels that no list could show.

    Raises:
        BoundsError: one is no text or too long, or tags are too many, repeated, or hold a comma.
    """
    bounds.text(description, "description", max_length=MAX_DESCRIPTION, min_length=0)
    bounds.text(owner, "owner", max_length=MAX_OWNER, min_length=0)
    check_tags(tags)


def check_tags(tags: object) -> None:
    """Refuse tags that no list could show.

    Raises:
        BoundsError: they are too many, repeated or too long, or hold a comma.
    """
    if not isinstance(tags, list) or len(tags) > MAX_TAGS:
        raise BoundsError("tags", tags, f"a list of at most {MAX_TAGS} texts")
    for tag in tags:
        text = bounds.text(tag, "tags", max_length=MAX_TAG)
        # A form separates tags by commas.
        if "," in text or text != text.strip():
            raise BoundsError("tags", text, "without commas and outer spaces")
    if len(set(tags)) < len(tags):
        raise BoundsError("tags", tags, "different texts")
