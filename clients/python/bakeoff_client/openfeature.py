"""An OpenFeature provider that evaluates here; needs `openfeature-sdk` (`bakeoff-client[openfeature]`).

openfeature.api.set_provider(BakeoffProvider(Flags(client)))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openfeature.exception import FlagNotFoundError, TargetingKeyMissingError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider
from openfeature.provider.metadata import Metadata

if TYPE_CHECKING:
    from openfeature.evaluation_context import EvaluationContext

    from bakeoff_client.flags import Flags


class BakeoffProvider(AbstractProvider):  # type: ignore[misc]
    """Resolves flags by the rules that a `Flags` holds."""

    def __init__(self, flags: Flags) -> None:
        """Remember who evaluates."""
        super().__init__()
        self._flags = flags

    def get_metadata(self) -> Metadata:
        """Name the provider."""
        return Metadata(name="Bakeoff")

    def get_provider_hooks(self) -> list[Any]:
        """Return none."""
        return []

    def shutdown(self) -> None:
        """Poll no more."""
        self._flags.close()

    def _resolve(
        self, kinds: Any, flag: str, default: Any, context: EvaluationContext | None
    ) -> FlagResolutionDetails[Any]:
        unit = context.targeting_key if context is not None else None
        attributes = dict(context.attributes) if context is not None else {}
        if not unit and flag in self._flags.needing_a_unit():
            raise TargetingKeyMissingError(f"flag '{flag}' needs a targeting key to find a variant")
        evaluation = self._flags.evaluate(flag, unit_id=unit or "", attributes=attributes)
        if evaluation.reason == "FLAG_NOT_FOUND":
            raise FlagNotFoundError(f"flag '{flag}' was not found")
        if evaluation.value is None:
            reason = Reason.DISABLED if evaluation.reason == "DISABLED" else Reason.DEFAULT
            return FlagResolutionDetails(value=default, reason=reason)
        value = evaluation.value
        # JSON has one kind of number: 1 is a float where one is asked for.
        if kinds is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kinds) or (kinds is int and isinstance(value, bool)):
            raise TypeMismatchError(f"flag '{flag}' is {type(value).__name__}")
        return FlagResolutionDetails(
            value=value, variant=evaluation.variant, reason=Reason(evaluation.reason)
        )

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Resolve a truth."""
        return self._resolve(bool, flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a text."""
        return self._resolve(str, flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve a whole number."""
        return self._resolve(int, flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve a number."""
        return self._resolve(float, flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self, flag_key: str, default_value: Any, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Any]:
        """Resolve an object."""
        return self._resolve((dict, list), flag_key, default_value, evaluation_context)
