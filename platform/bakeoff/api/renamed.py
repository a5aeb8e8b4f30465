"""Fields that were called otherwise before 0.2.0: both names are taken and answered for one version.

A schema declares them once (`old_names`); requests, answers and the OpenAPI document follow. Take an
entry away to end it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from ninja import Schema
from pydantic import (
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class OldName:
    """An old field and the one that stands for it now.

    Attributes:
        old: its name until 0.1.
        new: its name now.
        to_new: turns an old value into a new one.
        to_old: the reverse.
        schema: JSON schema of the old field; None where the values are the same.
    """

    old: str
    new: str
    to_new: Callable[[Any], Any] = _same
    to_old: Callable[[Any], Any] = _same
    schema: dict[str, Any] | None = None


class RenamedSchema(Schema):
    """A schema of which some fields have an old name, too."""

    old_names: ClassVar[tuple[OldName, ...]] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _take_old_names(cls, values: Any, handler: ModelWrapValidatorHandler[Schema]) -> Any:
        # Rows of the database have the new names alone; only what was sent may have the old ones.
        return handler(cls._with_new_names(values) if isinstance(values, dict) else values)

    @classmethod
    def _with_new_names(cls, values: dict[str, Any]) -> dict[str, Any]:
        values = dict(values)
        for name in cls.old_names:
            if name.old not in values:
                continue
            if name.new in values:
                raise PydanticCustomError(
                    "renamed",
                    "'{old}' is the old name of '{field}', must not be sent beside it",
                    {"old": name.old, "field": name.new},
                )
            values[name.new] = name.to_new(values.pop(name.old))
        return values

    @model_serializer(mode="wrap")
    def _add_old_names(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        # Only answers are written with a context: inside, a field has one name.
        if info.context:
            data |= {
                name.old: name.to_old(data[name.new]) for name in self.old_names if name.new in data
            }
        return data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(_without_serializer(core_schema))
        properties = handler.resolve_ref_schema(schema)["properties"]
        for name in cls.old_names:
            about = properties[name.new] if name.schema is None else name.schema
            properties[name.old] = {
                **{key: value for key, value in about.items() if key != "title"},
                "deprecated": True,
                "description": f"Old name of `{name.new}`, until 0.3.",
            }
        return schema


def _without_serializer(schema: CoreSchema) -> CoreSchema:
    """Return a model's schema less its serializer, of which a document could only say "an object"."""
    plain: dict[str, Any] = {key: value for key, value in schema.items() if key != "serialization"}
    if str(plain["type"]).startswith("function-"):  # a validator of the model stands around it
        plain["schema"] = _without_serializer(plain["schema"])
    return cast("CoreSchema", plain)
