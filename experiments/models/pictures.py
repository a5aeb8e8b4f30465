"""Pictures of what users of a variant saw, for the people who read its report."""

from __future__ import annotations

import base64

from django.db import models
from django.db.models.functions import Now

from bakeoff.accounts.readable_times import times_are_readable


class VariantPicture(models.Model):
    """One picture of a variant; it goes with the variant, as of a draft that is edited."""

    variant = models.OneToOneField(
        "experiments.Variant", on_delete=models.CASCADE, primary_key=True, related_name="picture"
    )
    content = models.BinaryField(
        help_text="WebP, written here: without the notes of the file that came."
    )
    width = models.PositiveIntegerField(help_text="Pixels.")
    height = models.PositiveIntegerField(help_text="Pixels.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [times_are_readable("picture_times_are_readable", "created_at")]

    def __str__(self) -> str:
        return f"{self.width} x {self.height}"

    @property
    def data_address(self) -> str:
        """The picture in an address, for a copy of a page that stands alone."""
        return f"data:image/webp;base64,{base64.b64encode(bytes(self.content)).decode()}"
