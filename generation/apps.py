"""The generation app."""

from typing import Any

from django.apps import AppConfig, apps
from django.core import checks
from django.db.models.signals import post_migrate


class GenerationConfig(AppConfig):
    """Registered with Django under its folder's name."""

    name = "generation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Check settings that Django does not know; enter the catalog's prices after every migrate."""
        from generation.checks import OF_SETTINGS, default_models, webhooks_arrive, webhooks_over_https

        checks.register(default_models, OF_SETTINGS)
        checks.register(webhooks_over_https, OF_SETTINGS)
        checks.register(webhooks_arrive, deploy=True)
        post_migrate.connect(enter_prices, sender=self)


def enter_prices(**kwargs: Any) -> None:
    """The receiver of `post_migrate`; does nothing while the table is not there (a migration backwards).

    `flush` sends it too, without `apps`.
    """
    from generation.price_list import sync_prices

    migrated = kwargs.get("apps", apps)
    if "price" in migrated.all_models["generation"]:
        sync_prices()
