"""Bodies of management requests: a field that nobody knows is refused, never silently lost."""

from __future__ import annotations

import difflib
from typing import Any, ClassVar

from ninja import Schema
from pydantic import ConfigDict, ModelWrapValidatorHandler, model_validator
from pydantic_core import PydanticCustomError

from bakeoff.api.renamed import RenamedSchema
from experiments.bounds import MAX_NAME


class RequestSchema(RenamedSchema):
    """A body, or an object in one: it has the fields of the schema and their old names, and no other.

    An answer that has a request's fields and more takes `extra` back to "ignore".
    """

    # Where every field is optional, a misspelt one would be a change that nobody sees not to happen.
    # pydantic refuses it as well, and this tells the document; the check below names what was meant.
    model_config = ConfigDict(extra="forbid")
    # What the answer adds, and may come back as it was read: it changes nothing.
    read_only: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_unknown_fields(cls, values: Any, handler: ModelWrapValidatorHandler[Schema]) -> Any:
        if isinstance(values, dict) and cls.model_config.get("extra") == "forbid":
            values = {name: one for name, one in values.items() if name not in cls.read_only}
            cls._require_known(values)
        return handler(values)

    @classmethod
    def _require_known(cls, values: dict[str, Any]) -> None:
        known = [*cls.model_fields, *(name.old for name in cls.old_names)]
        for field in values:
            if field in known:
                continue
            name = field[:MAX_NAME]  # it is answered, and compared letter by letter
            nearest = difflib.get_close_matches(name, known, n=1)
            all_of_them = ", ".join(f"'{one}'" for one in cls.model_fields)
            hint = f"the nearest is '{nearest[0]}'" if nearest else f"must be one of {all_of_them}"
            raise PydanticCustomError(
                "unknown_field", "unknown field, {hint}", {"field": name, "hint": hint}
            )
