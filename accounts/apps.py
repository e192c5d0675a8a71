"""The accounts app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    """Registered with Django under its folder's name."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Keep the group of auditors after every migrate; take each code of a second factor once."""
        from accounts.auditors import keep_auditors
        from accounts.two_factor import take_codes_once

        take_codes_once()
        post_migrate.connect(keep_auditors, sender=self)
