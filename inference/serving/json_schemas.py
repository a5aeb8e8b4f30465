"""JSON Schemas of answers: compiled once, never fetched from anywhere."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping


class SchemaError(ValueError):
    """A schema that is none, or that names another document."""


def _refuse(address: str) -> Any:
    # A tenant's schema must not make the platform fetch an address.
    raise SchemaError(f"$ref == '{address:.80}', must stay within the schema.")


@lru_cache(maxsize=256)
def _compiled(schema: bytes) -> jsonschema_rs.Validator:
    try:
        return jsonschema_rs.validator_for(orjson.loads(schema), retriever=_refuse)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaError(f"it is no JSON Schema: {str(error)[:200]}") from error


def compile_schema(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """Return a schema's validator.

    Raises:
        SchemaError: it is none.
    """
    return _compiled(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS))


def fits(schema: Mapping[str, Any], text: str) -> bool:
    """Whether a text is JSON that a schema allows."""
    try:
        return bool(compile_schema(schema).is_valid(orjson.loads(text)))
    except (orjson.JSONDecodeError, SchemaError, RecursionError):
        return False
