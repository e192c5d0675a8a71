"""The accounts app."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Registered with Django under its folder's name."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
