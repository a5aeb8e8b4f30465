"""Every operation of the OpenAPI document: what it takes, what it answers, an example of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.api import api
from bakeoff.help_site.markdown import code, json_block, plain, table

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """# HTTP API

Generated from the OpenAPI document, which every platform serves at `/v1/openapi.json` and, for people,
at `/docs`. Keys go in `Authorization: Bearer KEY`; [errors](errors.md) have one shape. The fast lane
is described [in its own words](../http.md), too.

"""
JSON = "application/json"


def api_page() -> str:
    """Return the page."""
    document = api.get_openapi_schema()
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            text = "\n".join(_operation(f"{method.upper()} {path}", operation, document))
            by_tag.setdefault(operation["tags"][0], []).append(text)
    return HEAD + "\n".join(f"## {_title(tag)}\n\n" + "\n".join(texts) for tag, texts in by_tag.items())


def _title(tag: str) -> str:
    return plain(tag[:1].upper() + tag[1:])


def _operation(title: str, operation: dict[str, Any], document: dict[str, Any]) -> Iterator[str]:
    yield f"### `{title}`\n"
    yield plain(operation.get("description") or operation["summary"]) + "\n"
    yield table(
        ("parameter", "in", "type", "meaning"), map(_parameter, operation.get("parameters", ()))
    )
    content = operation.get("requestBody", {}).get("content", {}).get(JSON)
    if content is not None:
        yield table(("field", "type", "", "meaning"), fields_of(content["schema"], document))
        yield from _example("Request", content)
    for status, answer in operation["responses"].items():
        if str(status).startswith("2"):
            body = answer.get("content", {}).get(JSON)
            yield from _example(f"Answer {status}", body) if body else (f"Answers {status}.\n",)


def _parameter(one: dict[str, Any]) -> tuple[str, str, str, str]:
    meaning = one.get("description") or one["schema"].get("description", "")
    return code(one["name"]), one["in"], _type(one["schema"]), plain(meaning)


def _example(title: str, content: dict[str, Any]) -> Iterator[str]:
    if "example" in content:
        yield f"{title}:\n\n{json_block(content['example'])}"


def fields_of(schema: dict[str, Any], document: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Give name, type, whether it is required, and meaning of each field of an object.

    Args:
        schema: of the object; old names of fields are left out.
        document: in which its references are.
    """
    schema = _resolve(schema, document)
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        if not field.get("deprecated"):
            need = "required" if name in required else ""
            yield code(name), _type(field), need, plain(field.get("description", ""))


def _resolve(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    resolved: dict[str, Any] = document["components"]["schemas"][name] if name else schema
    return resolved


def _type(schema: dict[str, Any]) -> str:
    """Return a type in a word or two."""
    if "$ref" in schema:
        return plain(schema["$ref"].rsplit("/", 1)[-1])
    if "enum" in schema or "const" in schema:
        return ", ".join(code(str(value)) for value in schema.get("enum", [schema.get("const")]))
    if several := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return " or ".join(dict.fromkeys(_type(one) for one in several))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else plain(str(kind))
