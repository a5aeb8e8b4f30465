"""Django application of inference."""

from django.apps import AppConfig


class InferenceConfig(AppConfig):
    """Items, surfaces, model versions, training."""

    name = "inference"
    default_auto_field = "django.db.models.BigAutoField"
