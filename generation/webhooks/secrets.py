"""What deliveries are signed with: the secrets of the environment, else what the worker was told by the provider.

Those that were read last are remembered, and most deliveries need no look: what they have verified is kept only where
they are still in force, which the statement that keeps it asks itself.
"""

from typing import Any, NamedTuple

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from accounts.prepared import Prepared
from accounts.statements import Sql
from generation.models import ProviderState

KNOWN = Prepared(
    lambda provider: ProviderState.objects.filter(provider=provider).values("webhook_secrets"), provider=str
)
COLUMN: Any = ProviderState._meta.get_field("webhook_secrets")
UNCHANGED = 'EXISTS (SELECT 1 FROM "generation_providerstate" WHERE "provider" = %s AND "webhook_secrets" = %s)'


class Secrets(NamedTuple):
    """Secrets (`whsec_…`) of a provider; of the environment's the name is empty, and they do not change."""

    values: tuple[str, ...] = ()
    provider: str = ""

    @property
    def in_force(self) -> Sql:
        """That these are still the ones, for `accounts.statements.insert_new`."""
        if not self.provider:
            return Sql("TRUE")
        return Sql(
            UNCHANGED, [self.provider, COLUMN.get_db_prep_save(list(self.values), connections[DEFAULT_DB_ALIAS])]
        )


_last = Secrets()


def remembered() -> Secrets:
    """Those that were in force when this process looked last; none if it has not."""
    return _configured() or _last


def look() -> Secrets:
    """Those in force now."""
    global _last
    if configured := _configured():
        return configured
    told = (secret for row in KNOWN(provider=settings.PROVIDER) for secret in row["webhook_secrets"] or ())
    _last = Secrets(tuple(told), settings.PROVIDER)
    return _last


def _configured() -> Secrets | None:
    given = settings.REPLICATE_WEBHOOK_SECRETS
    return Secrets(tuple(given)) if given else None
