"""What programs sign in with."""

import uuid
from datetime import datetime
from typing import ClassVar, Final

from django.db import models
from django.db.models import Q

from accounts.models.users import User

# What a token may be made for; `accounts.api.scopes` says which call needs which.
SCOPES: Final = ("generate", "read", "manage")


def every_scope() -> list[str]:
    """What tokens have had since before there were scopes."""
    return list(SCOPES)


class ApiToken(models.Model):
    """A bearer token: shown once, kept as the SHA-256 of 256 random bits with a prefix for look-up.

    `scopes` are some of `SCOPES`. Its limits bind what it spends beside those of its user; None does not bind.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=every_scope)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    daily_count_limit = models.PositiveIntegerField("generations a day", null=True, blank=True)
    monthly_count_limit = models.PositiveIntegerField("generations a month", null=True, blank=True)
    daily_micros_limit = models.BigIntegerField("spend a day", null=True, blank=True)
    monthly_micros_limit = models.BigIntegerField("spend a month", null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=(Q(daily_micros_limit=None) | Q(daily_micros_limit__gte=0))
                & (Q(monthly_micros_limit=None) | Q(monthly_micros_limit__gte=0)),
                name="token_limits_not_negative",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def is_good(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)
