"""What experiments share: layers, the holdout, saved groups."""

from __future__ import annotations

from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bakeoff.accounts.readable_times import times_are_readable
from experiments.assignment import ConditionError, compile_condition
from experiments.assignment.named_groups import group_as_json
from experiments.salts import new_salt

MAX_GROUP_BYTES = 1024 * 1024  # every web process reads all of them again and again


class Layer(models.Model):
    """Experiments of which a unit is in one at most: each takes a range of the layer's buckets."""

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="layers")
    key = models.SlugField(max_length=64)
    salt = models.CharField(max_length=64, default=new_salt, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="layer_key_is_unique"),
            times_are_readable("layer_times_are_readable", "created_at"),
        ]

    def __str__(self) -> str:
        return self.key


class Holdout(models.Model):
    """The share of units that no experiment of a project takes."""

    project = models.OneToOneField("accounts.Project", on_delete=models.CASCADE, related_name="holdout")
    share = models.FloatField(default=0.05, help_text="Of all units.")
    salt = models.CharField(max_length=64, default=new_salt, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(share__gte=0) & Q(share__lte=0.5), name="a_holdout_is_half_at_most"
            )
        ]

    def __str__(self) -> str:
        return f"{self.share:.1%} of {self.project}"


class SavedGroup(models.Model):
    """A list of values, or a condition, that conditions name."""

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, related_name="saved_groups"
    )
    key = models.SlugField(max_length=64)
    attribute = models.CharField(
        max_length=100, blank=True, help_text="Of a list: which attribute it lists values of."
    )
    values: models.JSONField[list[Any]] = models.JSONField(default=list, blank=True)
    condition: models.JSONField[dict[str, Any]] = models.JSONField(
        default=dict, blank=True, help_text="Instead of a list: whom it holds."
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="group_key_is_unique"),
            times_are_readable("group_times_are_readable", "created_at"),
        ]

    def __str__(self) -> str:
        return self.key

    def clean(self) -> None:
        """Check the condition, with the project's other groups."""
        size = len(orjson.dumps(self.as_json()))
        if size > MAX_GROUP_BYTES:
            raise ValidationError(
                {"values": f"group == {size} bytes of JSON, must be at most {MAX_GROUP_BYTES}."}
            )
        groups = groups_of(self.project_id) | {self.key: self.as_json()}
        try:
            compile_condition({"$savedGroup": {"id": self.key}}, groups)
        except ConditionError as error:
            raise ValidationError({"condition": str(error)}) from error

    def as_json(self) -> dict[str, Any]:
        """Return it as conditions, and GrowthBook's payload, read it."""
        return group_as_json(self.attribute, self.values, self.condition)


def groups_of(project_id: int) -> dict[str, Any]:
    """Return a project's saved groups by key."""
    groups = SavedGroup.objects.filter(project_id=project_id)
    return {group.key: group.as_json() for group in groups}
