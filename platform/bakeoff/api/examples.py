"""Examples of the OpenAPI document: a request and an answer for each operation that has a body.

They are made from the schemas and a list of values by a field's name: a new field has an example
at once, and none disagrees with its schema. `examples.yaml` has that list, and examples by hand.
"""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).with_name("examples.yaml")
JSON = "application/json"
TIME = "2026-03-02T09:30:00Z"
ID = "0195576c-8f3a-7c41-9d27-6b1f4f1f2a10"
MAX_DEPTH = 6  # a schema may hold itself


def add_examples(document: dict[str, Any]) -> None:
    """Put an example beside the schema of each JSON body that has none.

    Args:
        document: of OpenAPI; it is changed.
    """
    schemas = document["components"]["schemas"]
    for methods in document["paths"].values():
        for operation in methods.values():
            by_hand = _source()["operations"].get(operation["operationId"], {})
            _add(operation.get("requestBody", {}), by_hand.get("request"), schemas)
            for status, answer in operation["responses"].items():
                if str(status).startswith("2"):
                    _add(answer, by_hand.get("answer"), schemas)


@cache
def _source() -> dict[str, Any]:
    source: dict[str, Any] = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return source


def _value(name: str) -> Any:
    return _source()["values"].get(name)


def _add(body: dict[str, Any], by_hand: Any, schemas: dict[str, Any]) -> None:
    content = body.get("content", {}).get(JSON)
    if content is not None and "example" not in content:
        example = example_of(content["schema"], schemas) if by_hand is None else by_hand
        content["example"] = deepcopy(example)  # the document is its caller's to change


def example_of(schema: dict[str, Any], schemas: dict[str, Any], name: str = "", depth: int = 0) -> Any:
    """Return a value that a schema allows.

    Args:
        schema: of the value.
        schemas: those that it may refer to.
        name: of the field, if it is one.
        depth: how many schemas stand around it.
    """
    if _value(name) is None and _may_be_null(schema):
        return None
    schema = _resolve(schema, schemas)
    if "const" in schema or "enum" in schema:
        choices = schema.get("enum") or [schema["const"]]
        return _value(name) if _value(name) in choices else choices[0]
    kind = _kind(schema)
    if kind == "object":
        return _object(schema, schemas, depth)
    if kind == "array":
        return _array(schema, schemas, name, depth)
    return _scalar(schema, kind, name)


def _array(schema: dict[str, Any], schemas: dict[str, Any], name: str, depth: int) -> list[Any]:
    if "prefixItems" in schema:  # a tuple
        return [example_of(one, schemas, name, depth + 1) for one in schema["prefixItems"]]
    items = schema.get("items", {})
    named = _value(name)
    if isinstance(named, list) and _kind(_resolve(items, schemas)) == "string":
        return list(named)
    count = max(schema.get("minItems", 0), int(depth <= MAX_DEPTH))
    return [example_of(items, schemas, name.removesuffix("s"), depth + 1)] * count


def _resolve(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return what a reference or a choice stands for: of several, the first that is no null."""
    while True:
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rsplit("/", 1)[-1]]
        elif "allOf" in schema and "properties" not in schema:
            schema = _merged([_resolve(one, schemas) for one in schema["allOf"]], schema)
        elif (several := schema.get("anyOf") or schema.get("oneOf")) and "properties" not in schema:
            choices = [one for one in several if one.get("type") != "null"]
            schema = choices[0]
        else:
            return schema


def _merged(parts: list[dict[str, Any]], around: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for part in [*parts, {key: value for key, value in around.items() if key != "allOf"}]:
        merged["properties"] |= part.get("properties", {})
        merged["required"] = [*merged["required"], *part.get("required", [])]
        merged |= {key: part[key] for key in ("anyOf",) if key in part}
    return merged


def _may_be_null(schema: dict[str, Any]) -> bool:
    several = schema.get("anyOf") or schema.get("oneOf") or ()
    return any(one.get("type") == "null" for one in several) or "null" in schema.get("type", ())


def _kind(schema: dict[str, Any]) -> str:
    kinds = schema.get("type", "object" if "properties" in schema else "")
    if isinstance(kinds, list):
        kinds = next(kind for kind in kinds if kind != "null")
    return str(kinds)


def _object(schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> dict[str, Any]:
    """Return an object with the fields that it must have, and those that a reader wants to see."""
    fields = schema.get("properties", {})
    needed = set(schema.get("required", ()))
    # Either of several sets of fields is enough.
    needed |= set((schema.get("anyOf") or [{}])[0].get("required", ()))
    shown = {
        name
        for name, field in fields.items()
        if name in needed or (_value(name) is not None and depth == 0 and not field.get("deprecated"))
    }
    values = {n: example_of(fields[n], schemas, n, depth + 1) for n in fields if n in shown}
    return values | {name: _value(name) or {} for name in sorted(needed - values.keys())}


def _scalar(schema: dict[str, Any], kind: str, name: str) -> Any:
    named = _value(name)
    if choices := re.fullmatch(r"\^\(([\w|-]+)\)\$", schema.get("pattern", "")):
        words = choices[1].split("|")
        return named if named in words else words[0]
    if kind == "boolean":
        return bool(schema.get("default", True))
    if kind in {"integer", "number"}:
        return _number(schema, kind, named)
    if kind == "null":
        return None
    if kind == "":  # anything
        return schema.get("default", named if named is not None else {})
    by_format = {"date-time": TIME, "date": TIME[:10], "uuid": ID, "uri": _value("url")}
    text = by_format.get(schema.get("format", "")) or (named if isinstance(named, str) else "")
    text = text or (
        TIME if name.endswith("_at") else schema.get("default") or name.replace("_", " ") or "text"
    )
    return str(text)[: schema.get("maxLength", 10_000)]


def _number(schema: dict[str, Any], kind: str, named: Any) -> float:
    default = schema.get("default")
    candidates = [named, default, 1, 0.5, schema.get("minimum"), schema.get("maximum")]
    for value in candidates:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        whole = kind == "number" or float(value).is_integer()
        low = (
            schema.get("minimum", value) <= value and schema.get("exclusiveMinimum", value - 1) < value
        )
        high = value <= schema.get("maximum", value) and value < schema.get(
            "exclusiveMaximum", value + 1
        )
        if whole and low and high:
            return int(value) if kind == "integer" else value
    return 1
