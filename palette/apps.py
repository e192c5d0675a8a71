"""The palette app."""

from django.apps import AppConfig


class PaletteConfig(AppConfig):
    """Registered with Django under its folder's name."""

    name = "palette"
    default_auto_field = "django.db.models.BigAutoField"
