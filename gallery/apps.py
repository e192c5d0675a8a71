"""The gallery app."""

from django.apps import AppConfig


class GalleryConfig(AppConfig):
    """Registered with Django under its folder's name."""

    name = "gallery"
    default_auto_field = "django.db.models.BigAutoField"
