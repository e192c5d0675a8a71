"""What processes share for a while where there is no Redis, or none that answers."""

from django.db import models


class CacheRow(models.Model):
    """One cached value, read and written by `accounts.cache` alone. Nothing is lost with it but counts."""

    key = models.CharField(primary_key=True, max_length=255)
    value = models.JSONField(null=True)
    # None: for good.
    expires_at = models.DateTimeField(null=True, db_index=True)

    def __str__(self) -> str:
        return self.key
