"""Types of fields that several operations share."""

from __future__ import annotations

from typing import Annotated, Any

from ninja import Field
from pydantic import AfterValidator

from experiments.bounds import MAX_ID, MAX_NAME, MAX_PROPERTIES_BYTES, check

KEY = r"^[-a-zA-Z0-9_]+$"
Id = Annotated[str, Field(max_length=MAX_ID)]
Name = Annotated[str, Field(max_length=MAX_NAME)]


def _bounded(properties: dict[str, Any]) -> dict[str, Any]:
    check(properties, "properties", max_bytes=MAX_PROPERTIES_BYTES)
    return properties


Properties = Annotated[dict[str, Any], AfterValidator(_bounded)]


def _web_address(url: str) -> str:
    if url and not url.startswith(("https://", "http://")):
        raise ValueError("must start with https:// or http://")
    return url


# Answers carry it into pages, where `javascript:` would run.
Url = Annotated[str, Field(max_length=2000), AfterValidator(_web_address)]
