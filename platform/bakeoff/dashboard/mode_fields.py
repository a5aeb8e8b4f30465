"""The fields that belong to the method of an experiment, and what its form shows of them.

The page shows only the fields of the chosen method, by its stylesheet alone; a browser too old for that shows
all, under the headings of their methods. What was typed into the fields of another method is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy

from bakeoff.dashboard.form_choices import MODES, RULES, cluster_field
from experiments.actions.experiment_draft import SWITCHBACK_POLICY
from experiments.kinds import ABOVE_USERS
from experiments.models import Experiment
from experiments.stats.policy import MAX_BLOCK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Which methods have a field; those that every method has are not named.
MODES_OF: Mapping[str, tuple[str, ...]] = {
    "rule": ("split",),
    "segments": ("split",),
    "sticky": ("split",),
    "hashing": ("split",),
    "breaker_alpha": ("split", "bandit"),
    "guardrails": ("split", "bandit", "cluster", "switchback"),
    "margin": ("split", "bandit", "cluster", "switchback"),
    "secondary": ("split", "bandit", "cluster", "switchback"),
    "promote": ("split", "bandit", "cluster", "switchback"),
    "allocation": ("split", "interleave", "bandit", "cluster"),
    "planned_units": ("split", "interleave", "bandit", "cluster"),
    "floor": ("bandit",),
    "update_hours": ("bandit",),
    "burn_in_units": ("bandit",),
    "bandit_rule": ("bandit",),
    "cluster_by": ("cluster",),
    "block_minutes": ("switchback",),
    "carry_over_minutes": ("switchback",),
    "planned_blocks": ("switchback",),
}
HEADINGS: Mapping[str, Any] = {
    "bandit": gettext_lazy("Bandit"),
    "cluster": gettext_lazy("Clusters"),
    "switchback": gettext_lazy("Switchback"),
}
NOTES: Mapping[str, Any] = {
    "split": gettext_lazy(
        "Each user gets one version. The usual test: it measures how much better it is."
    ),
    "interleave": gettext_lazy(
        "Each user gets lists with items of both versions, which needs far fewer users. It tells which "
        "version users prefer, and never ships by itself."
    ),
    "bandit": gettext_lazy(
        "Loses less while it learns: each update gives new users the shares that the primary metric "
        "suggests. Differences are measured less exactly."
    ),
    "cluster": gettext_lazy(
        "For versions that act on more than one user at once, as in a store or a team. Analysed once, at "
        "the planned number of users."
    ),
    "switchback": gettext_lazy(
        "For versions that act on all users at once, as prices or a shared stock do. All traffic takes "
        "part, and it is analysed once, at the planned number of blocks."
    ),
}
# Where the form has what a policy refuses, by the name that the sentence begins with.
PLACES: Mapping[str, str] = {
    "floor": "floor",
    "update_every_seconds": "update_hours",
    "burn_in_units": "burn_in_units",
    "cluster_by": "cluster_by",
    "block_seconds": "block_minutes",
    "carry_over_seconds": "carry_over_minutes",
    "minimum_run_seconds": "minimum_days",
    "window_seconds": "window_hours",
}
ADVANCED = {"condition"}


@dataclass(frozen=True, slots=True)
class Part:
    """What stands together on the page, and which methods have it.

    Attributes:
        fields: of the form, and lists of rows.
        modes: separated by blanks; empty: all.
        title: of a group of fields.
        notes: sentences below, by their methods.
        is_advanced: whether it is folded away: what rows can say is not written there.
    """

    fields: Sequence[Any]
    modes: str = ""
    title: Any = ""
    notes: Sequence[tuple[str, Any]] = ()
    is_advanced: bool = False


class ModeFields(forms.Form):
    """The method, and how it decides."""

    mode = forms.ChoiceField(choices=MODES, required=False, label=gettext_lazy("Method"))
    floor = forms.FloatField(
        min_value=5,
        max_value=50,
        initial=10,
        required=False,
        label=gettext_lazy("Lowest share of a variant (%)"),
        help_text=gettext_lazy("At least 5, so that every variant can still be measured."),
    )
    update_hours = forms.FloatField(
        min_value=1 / 60,
        max_value=24 * 365,
        initial=24,
        required=False,
        label=gettext_lazy("Hours between updates of the shares"),
    )
    burn_in_units = forms.IntegerField(
        min_value=0,
        initial=200,
        required=False,
        label=gettext_lazy("Users before the first update"),
        help_text=gettext_lazy("Fewer than the planned users."),
    )
    cluster_by = cluster_field(gettext_lazy("Attribute of the context"))
    block_minutes = forms.FloatField(
        min_value=5,
        max_value=MAX_BLOCK_SECONDS / 60,
        required=False,
        label=gettext_lazy("Minutes of a block"),
        help_text=gettext_lazy("At least 5. Much longer than what a version leaves behind."),
    )
    carry_over_minutes = forms.FloatField(
        min_value=1,
        max_value=MAX_BLOCK_SECONDS / 60,
        required=False,
        label=gettext_lazy("Minutes of carry-over"),
        help_text=gettext_lazy(
            "From the start of each block, left out because the block before still acts. At most half of it."
        ),
    )
    rule = forms.ChoiceField(
        choices=RULES, initial="group_sequential", label=gettext_lazy("Decision rule")
    )
    bandit_rule = forms.ChoiceField(
        choices=[one for one in RULES if one[0] in {"always_valid", "exact"}],
        required=False,
        label=gettext_lazy("Decision rule of the bandit"),
        help_text=gettext_lazy("The other rules need shares that stay."),
    )
    planned_units = forms.IntegerField(
        min_value=2,
        initial=10_000,
        label=gettext_lazy("Planned users"),
        help_text=gettext_lazy(
            "Total over all variants. The calculator on the right shows how many you need."
        ),
    )
    planned_blocks = forms.IntegerField(
        min_value=2,
        initial=SWITCHBACK_POLICY["planned_units"],
        required=False,
        label=gettext_lazy("Planned blocks of time"),
        help_text=gettext_lazy(
            "Total over both variants, at least 40. No longer than a year together."
        ),
    )

    def clean(self) -> dict[str, Any]:
        """Read only what the method has; the policy's rule and number are those of the method."""
        filled: dict[str, Any] = super().clean() or {}
        if "mode" in self.errors:
            return filled
        mode = filled["mode"] = filled.get("mode") or Experiment.Mode.SPLIT.value
        for name in foreign_to(mode):
            self.errors.pop(name, None)
            filled[name] = self.fields[name].clean(self.base_fields[name].initial)
        return settled(filled)

    def place_in_policy(self, sentence: str) -> str:
        """Return the field of what the action refuses of the policy, by the name that stands first."""
        mode = self.cleaned_data.get("mode")
        named = sentence.partition(" == ")[0]
        if named == "rule":
            return "bandit_rule" if mode == Experiment.Mode.BANDIT else "rule"
        planned = "planned_blocks" if mode == Experiment.Mode.SWITCHBACK else "planned_units"
        return PLACES.get(named, planned)


def settled(filled: dict[str, Any]) -> dict[str, Any]:
    """Return what was filled in, with the rule and the number of the method that was chosen."""
    if filled.get("mode") == Experiment.Mode.BANDIT:
        filled["rule"] = filled.get("bandit_rule") or filled.get("rule")
    if filled.get("mode") == Experiment.Mode.SWITCHBACK:
        filled["planned_units"] = filled.get("planned_blocks") or SWITCHBACK_POLICY["planned_units"]
    return filled


def shown_in_mode(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form shows first, with a policy's rule and number in the fields of its method."""
    fields = dict(shown)
    for mode, general, own in (
        (Experiment.Mode.BANDIT, "rule", "bandit_rule"),
        (Experiment.Mode.SWITCHBACK, "planned_units", "planned_blocks"),
    ):
        if fields.get("mode") == mode and general in fields and own not in fields:
            fields[own] = fields.pop(general)
    return fields


def foreign_to(mode: str) -> set[str]:
    """Return the fields that a method does not have."""
    return {name for name, modes in MODES_OF.items() if mode not in modes}


def changed_by_mode(before: str, mode: str, changed: Iterable[str]) -> set[str]:
    """Return which fields of a stored draft are changed, where its method may be another now.

    Args:
        before: the stored method.
        mode: the method now.
        changed: fields that were sent otherwise than they were shown.
    """
    # Of another method, they were left over on the page.
    own = set(changed) - foreign_to(mode)
    if own & {"bandit_rule"}:
        own.add("rule")
    if "planned_blocks" in own:
        own.add("planned_units")
    if mode == before:
        return own
    # What the new method does not have goes, and what it counts is another number.
    counts = {before, mode} & ABOVE_USERS
    # A bandit's rule has a field of its own, and what the other field shows is none of its.
    rules = {before, mode} & {Experiment.Mode.BANDIT}
    return (
        own
        | foreign_to(mode)
        | ({"planned_units"} if counts else set())
        | ({"rule"} if rules else set())
    )


def parts_of(form: forms.Form, names: Iterable[str], lists: Mapping[str, Any]) -> list[Part]:
    """Return fields and lists as the page shows them, the fields of one method together.

    Args:
        form: that has them.
        names: in order; those of `HEADINGS` stand for the group of a method.
        lists: rows, by their names.
    """
    parts: list[Part] = []
    for name in names:
        if name in lists:
            parts.append(Part([lists[name]]))
        elif name in HEADINGS:
            fields = [form[one] for one, modes in MODES_OF.items() if modes == (name,)]
            parts.append(Part(fields, name, HEADINGS[name]))
        else:
            notes = tuple(NOTES.items()) if name == "mode" else ()
            modes = " ".join(MODES_OF.get(name, ()))
            parts.append(Part([form[name]], modes, notes=notes, is_advanced=name in ADVANCED))
    return parts
