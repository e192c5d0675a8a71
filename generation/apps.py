"""The generation app."""

from django.apps import AppConfig


class GenerationConfig(AppConfig):
    """Registered with Django under its folder's name."""

    name = "generation"
    default_auto_field = "django.db.models.BigAutoField"
