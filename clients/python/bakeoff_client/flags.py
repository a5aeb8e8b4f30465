"""Flags evaluated here, from rules that are polled; what only the platform knows is asked of it."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bakeoff_client.assignment import AllocationError, ConditionError, assign
from bakeoff_client.assignment.rules_payload import rule_from_json
from bakeoff_client.transport import BakeoffError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bakeoff_client.assignment import ExperimentRule
    from bakeoff_client.client import Client

logger = logging.getLogger("bakeoff_client")
EXPOSURES_REMEMBERED = 100_000


@dataclass(frozen=True)
class Evaluation:
    """What a flag says to a unit.

    Attributes:
        flag: its key.
        value: of the variant; None where the code's default applies.
        variant: its key, or None.
        reason: SPLIT, STATIC, DISABLED, DEFAULT or FLAG_NOT_FOUND.
        counts: whether it is an exposure: a forced variant is none.
    """

    flag: str
    value: Any
    variant: str | None
    reason: str
    counts: bool = False


class Flags:
    """Evaluates flags; safe to share between threads."""

    def __init__(
        self,
        client: Client,
        *,
        poll_seconds: float = 10.0,
        on_exposure: Callable[[Evaluation, str], None] | None = None,
    ) -> None:
        """Read the rules, and read them again every `poll_seconds`; 0 never.

        Args:
            client: whom to ask.
            poll_seconds: between two questions whether rules have changed.
            on_exposure: called once a unit, flag and variant; `Events.exposure` sends it.

        Raises:
            BakeoffError: nobody answers, or the key is refused.
        """
        self._client, self._on_exposure = client, on_exposure
        self._rules: dict[str, ExperimentRule] = {}
        self._remote: set[str] = set()
        self._shipped: dict[str, Any] = {}
        self._etag = ""
        self._exposures: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._ended = threading.Event()
        self.refresh()
        if poll_seconds > 0:
            threading.Thread(target=self._poll, args=(poll_seconds,), daemon=True).start()

    def close(self) -> None:
        """Poll no more."""
        self._ended.set()

    def refresh(self) -> None:
        """Read the rules now, if they have changed.

        Raises:
            BakeoffError: nobody answers.
        """
        status, etag, body = self._client.get("/v1/flags", etag=self._etag)
        if status == 304:
            return
        rules, remote = {}, set()
        for data in body["running"]:
            if "salt" not in data:  # it names people, which a public key may not read
                remote.add(data["key"])
                continue
            try:
                rules[data["key"]] = rule_from_json(data)
            except (AllocationError, ConditionError, KeyError) as error:
                # A newer platform may know rules that this client does not: it is asked instead.
                logger.warning("flag %s is evaluated by the platform: %s", data["key"], error)
                data["remote"] = True
            if data["remote"]:
                remote.add(data["key"])
        # Together, at the end: an evaluation in another thread sees old rules or new ones.
        self._rules, self._remote, self._shipped = rules, remote, body["shipped"]
        self._etag = etag

    def _poll(self, seconds: float) -> None:
        while not self._ended.wait(seconds):
            try:
                self.refresh()
            except BakeoffError as error:  # the last rules go on
                logger.warning("rules are not read: %s", error)

    def evaluate(
        self, flag: str, *, unit_id: str, attributes: Mapping[str, Any] | None = None
    ) -> Evaluation:
        """Evaluate a flag for a unit.

        Raises:
            BakeoffError: it must be asked of the platform, which does not answer.
        """
        if flag in self._remote:
            evaluation = self._ask(flag, unit_id, attributes or {})
        elif flag in self._rules:
            rule = self._rules[flag]
            assignment = assign(rule, unit_id, attributes or {}, others=self._rules)
            value = None if assignment.variant is None else rule.value_of(assignment.variant)
            counts = assignment.variant is not None and not assignment.forced
            evaluation = Evaluation(flag, value, assignment.variant, assignment.reason, counts)
        elif flag in self._shipped:
            shipped = self._shipped[flag]
            evaluation = Evaluation(flag, shipped["value"], shipped["variant"], "STATIC")
        else:
            evaluation = Evaluation(flag, None, None, "FLAG_NOT_FOUND")
        if evaluation.counts and self._on_exposure is not None:
            self._expose(evaluation, unit_id)
        return evaluation

    def needing_a_unit(self) -> set[str]:
        """Return the flags that are found by hashing a unit."""
        return {key for key, rule in self._rules.items() if rule.enabled} | self._remote

    def variant(
        self, flag: str, *, unit_id: str, attributes: Mapping[str, Any] | None = None
    ) -> str | None:
        """Return the variant of a unit, or None where the code's default applies.

        Raises:
            BakeoffError: as of `evaluate`.
        """
        return self.evaluate(flag, unit_id=unit_id, attributes=attributes).variant

    def _ask(self, flag: str, unit_id: str, attributes: Mapping[str, Any]) -> Evaluation:
        context = {**attributes, "targetingKey": unit_id}
        try:
            answer = self._client.post(f"/ofrep/v1/evaluate/flags/{flag}", {"context": context})
        except BakeoffError as error:
            if error.status == 404:
                return Evaluation(flag, None, None, "FLAG_NOT_FOUND")
            raise
        counts = bool(answer.get("metadata", {}).get("counts"))
        reason = "DEFAULT" if answer["reason"] == "UNKNOWN" else answer["reason"]
        return Evaluation(flag, answer.get("value"), answer["variant"] or None, reason, counts)

    def _expose(self, evaluation: Evaluation, unit_id: str) -> None:
        exposure = (evaluation.flag, unit_id, str(evaluation.variant))
        if exposure in self._exposures or self._on_exposure is None:
            return
        self._exposures[exposure] = None
        if len(self._exposures) > EXPOSURES_REMEMBERED:
            self._exposures.popitem(last=False)
        self._on_exposure(evaluation, unit_id)
