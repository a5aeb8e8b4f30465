"""Sections of the file from the tables' own columns: a column that is added joins by itself."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from django.db import models
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

from experiments.bounds import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

_TYPES: tuple[tuple[type[models.Field[Any, Any]], Any], ...] = (
    (models.BooleanField, bool),
    (models.PositiveIntegerField, Annotated[int, Field(ge=0, le=2_147_483_647)]),
    (models.IntegerField, int),
    (models.FloatField, Annotated[float, Field(allow_inf_nan=False)]),
    (models.ForeignKey, str),  # by its key
    (models.TextField, str),
)


class Section(BaseModel):
    """A mapping of the file: a field that nobody knows is refused, never silently lost."""

    # A text "yes" is no boolean, and "5" no number: what is written is what is meant.
    model_config = ConfigDict(strict=True, extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _require_known(cls, values: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        """Name every unknown field, and every other fault beside them: a file is mended once."""
        if not isinstance(values, dict):
            return check(values)
        faults = [cls._unknown(name) for name in values if name not in cls.model_fields]
        known = {name: value for name, value in values.items() if name in cls.model_fields}
        try:
            section = check(known)
        except ValidationError as error:
            faults += [_again(one) for one in error.errors(include_url=False)]
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return section

    @classmethod
    def _unknown(cls, name: str) -> InitErrorDetails:
        near = difflib.get_close_matches(str(name)[:MAX_NAME], cls.model_fields, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(cls.model_fields)}."
        fault = PydanticCustomError("unknown_field", "unknown field. {hint}", {"hint": hint})
        return {"type": fault, "loc": (name,), "input": None}

    def stated(self) -> dict[str, Any]:
        """Return the fields that the file names, as plain values."""
        return self.model_dump(exclude_unset=True)


def _again(error: ErrorDetails) -> InitErrorDetails:
    """Return one of pydantic's errors as one to raise."""
    context = error.get("ctx", {})
    built_in = error["type"] in get_args(ErrorType)
    kind = error["type"] if built_in else PydanticCustomError(error["type"], error["msg"], context)
    return {"type": kind, "loc": error["loc"], "input": error["input"], "ctx": context}


def columns_of(model: type[models.Model], *, but: Iterable[str]) -> tuple[str, ...]:
    """Return the names of a table's columns that people may set, less some."""
    left_out = set(but)
    columns = model._meta.fields  # noqa: SLF001  Django's documented way to a model's columns
    return tuple(one.name for one in columns if one.editable and one.name not in left_out)


def section_of(title: str, model: type[models.Model], names: Iterable[str], **more: Any) -> Any:
    """Return a section whose fields are columns of a table.

    Args:
        title: its name in the JSON Schema.
        model: the table.
        names: of the columns.
        more: fields that are no columns, as `create_model` takes them.
    """
    columns = {name: _field(model, name) for name in names}
    fields: dict[str, Any] = {**columns, **more}
    return create_model(title, __base__=Section, **fields)


def _field(model: type[models.Model], name: str) -> tuple[Any, Any]:
    column: Any = model._meta.get_field(name)  # noqa: SLF001  likewise
    default = None if isinstance(column, models.ForeignKey) else column.get_default()
    kind = _type(column) | None if column.null else _type(column)
    return kind, Field(default, description=str(column.help_text) or None)


def _type(column: Any) -> Any:
    if column.choices:
        values = [value for value, _ in column.flatchoices]
        return Literal[tuple(values + ([""] if column.blank and "" not in values else []))]
    if isinstance(column, models.JSONField):
        kinds: dict[type, Any] = {list: list[Any], dict: dict[str, Any]}
        return kinds.get(type(column.get_default()), Any)
    for kind, of in _TYPES:
        if isinstance(column, kind):
            return of
    return Annotated[str, Field(max_length=column.max_length)]
