"""Images of items: fetched from an address or uploaded, and their vectors."""

from __future__ import annotations

import hashlib

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class FetchedImage(models.Model):
    """An address of a project's, and what was behind it: an image, or why it is not used.

    An address is fetched once: a picture that changes has to change its address.
    """

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="images")
    url_sha256 = models.CharField(max_length=64)
    url = models.CharField(max_length=2000)
    image_sha256 = models.CharField(
        max_length=64, blank=True, db_default="", help_text="Of the file's content; empty for none."
    )
    refusal = models.CharField(
        max_length=400, blank=True, db_default="", help_text="Why the image is not used."
    )
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    due_at = models.DateTimeField(
        null=True,
        db_default=Now(),
        help_text="From when on a worker should fetch it; null when that is done.",
    )
    fetched_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "url_sha256"], name="an_image_is_fetched_once"),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(due_at__isnull=False), name="images_to_be_fetched"
            ),
        ]

    def __str__(self) -> str:
        return self.url

    @staticmethod
    def key_of(url: str) -> str:
        """Return the name of an address."""
        return hashlib.sha256(url.encode()).hexdigest()


class UploadedImage(models.Model):
    """An image that a product uploaded for items: what encoders read of it, under its hash.

    It is a PNG of at most 512 pixels an edge, without the camera's notes of the file that came.
    """

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="uploads")
    sha256 = models.CharField(max_length=64, help_text="Of the content.")
    content = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "sha256"], name="an_image_is_stored_once"),
        ]

    def __str__(self) -> str:
        return self.sha256[:12]

    ADDRESS = "uploaded:"  # no address that an item may name begins so: those are of http and https

    @classmethod
    def address_of(cls, sha256: str) -> str:
        """Return what stands in place of an address where the image was uploaded."""
        return cls.ADDRESS + sha256


class ImageVector(models.Model):
    """An image's vector under one encoder; shared by all projects, as it depends on both alone.

    `vector` holds little-endian float32.
    """

    encoder_sha256 = models.CharField(max_length=64)
    image_sha256 = models.CharField(max_length=64)
    vector = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["encoder_sha256", "image_sha256"], name="an_image_is_embedded_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.image_sha256[:12]} by {self.encoder_sha256[:12]}"
