"""The list of training runs: by which it is filtered, and in which order it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import F, FloatField
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Coalesce, Now
from django.utils.translation import gettext_lazy

from inference.models import TrainingRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet

    from bakeoff.accounts.models import Project

# Orders of the list, by their name in an address; the first is the default.
SORTS = {
    "": gettext_lazy("Newest first"),
    "oldest": gettext_lazy("Oldest first"),
    "longest": gettext_lazy("Longest first"),
    "shortest": gettext_lazy("Shortest first"),
    "highest": gettext_lazy("Highest metric first"),
    "lowest": gettext_lazy("Lowest metric first"),
}
# What gates measure on held-out rows, and are compared by; in the order of the choice.
METRICS = (
    "ndcg", "hit_rate", "recall", "mrr", "coverage", "accuracy", "f1", "log_score", "calibration_error",
    "preference_accuracy", "log_likelihood", "latency_p95_ms", "bytes",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs, in which order; what an address says wrongly counts as not said.

    Attributes:
        surface: key of the surface; empty: any.
        algorithm: name of it; empty: any.
        state: one of a run's states; empty: any.
        sort: one of `SORTS`.
        metric: one of `METRICS`, shown in a column; empty: none.
    """

    surface: str
    algorithm: str
    state: str
    sort: str
    metric: str

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> RunFilter:
        """Read an address."""
        state, sort, metric = (query.get(name, "").strip() for name in ("state", "sort", "metric"))
        return cls(
            surface=query.get("surface", "").replace("\0", "").strip(),
            algorithm=query.get("algorithm", "").replace("\0", "").strip(),
            state=state if state in TrainingRun.State.values else "",
            sort=sort if sort in SORTS else "",
            metric=metric if metric in METRICS else "",
        )

    @property
    def chooses(self) -> bool:
        """Whether it leaves any run out."""
        return bool(self.surface or self.algorithm or self.state)

    def runs(self, project: Project) -> QuerySet[TrainingRun]:
        """Return the project's runs, each with `metric_value` where a metric is chosen."""
        wanted = {
            "surface__key": self.surface,
            "algorithm": self.algorithm,
            "state": self.state,
        }
        runs = TrainingRun.objects.filter(
            surface__project=project, **{name: value for name, value in wanted.items() if value}
        )
        if self.metric:
            row = KeyTransform(self.metric, KeyTransform("rows", "version__gate"))
            value: Any = Cast(KeyTextTransform("challenger", row), FloatField())
            runs = runs.annotate(metric_value=value)
        return self._ordered(runs.select_related("surface", "version"))

    def _ordered(self, runs: QuerySet[TrainingRun]) -> QuerySet[TrainingRun]:
        # Of equal ones the newest first, so that pages do not share or lose a run.
        if self.sort == "oldest":
            return runs.order_by("id")
        if self.sort in {"longest", "shortest"}:
            lasted = Coalesce("ended_at", Now()) - F("started_at")
            runs = runs.annotate(lasted=lasted)
            ends = F("lasted").desc if self.sort == "longest" else F("lasted").asc
            return runs.order_by(ends(nulls_last=True), "-id")
        if self.metric and self.sort in {"highest", "lowest"}:
            ends = F("metric_value").desc if self.sort == "highest" else F("metric_value").asc
            return runs.order_by(ends(nulls_last=True), "-id")
        return runs.order_by("-id")
