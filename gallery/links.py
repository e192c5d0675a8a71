"""A way for visitors to one asset or one collection, until it ends."""

import uuid
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class ShareLinkQuerySet(models.QuerySet["ShareLink"]):
    """The words in which sharing speaks of many links."""

    def open_at(self, now: datetime) -> "ShareLinkQuerySet":
        """Those that lead somewhere: neither revoked nor expired, and of an owner who may sign in."""
        return self.filter(revoked_at=None, expires_at__gt=now, owner__is_active=True)


class ShareLink(models.Model):
    """Whoever has its token sees what it leads to, without an account.

    The token is made of the id and our secret key (`gallery.sharing`), so that its owner can copy it again, while
    this table, which keeps its SHA-256 alone, opens nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="share_links")
    asset = models.ForeignKey("gallery.Asset", on_delete=models.CASCADE, null=True, related_name="share_links")
    collection = models.ForeignKey(
        "gallery.Collection", on_delete=models.CASCADE, null=True, related_name="share_links"
    )
    digest = models.CharField(max_length=64, unique=True)
    # A hash as of an account's; empty where none is asked for.
    password = models.CharField(max_length=128, blank=True, default="")
    show_prompt = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    # How many passwords were tried since `tries_from`.
    tries = models.PositiveIntegerField(default=0)
    tries_from = models.DateTimeField(null=True, blank=True)
    # How many ZIPs were asked for since `zips_from`.
    zips = models.PositiveIntegerField(default=0)
    zips_from = models.DateTimeField(null=True, blank=True)

    objects = ShareLinkQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(asset__isnull=False, collection=None) | Q(asset=None, collection__isnull=False),
                name="share_link_to_one_thing",
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="share_link_ends"),
        ]

    def __str__(self) -> str:
        return f"to {self.asset_id or self.collection_id} until {self.expires_at:%Y-%m-%d}"

    def state(self, now: datetime) -> str:
        """Which of open, expired and revoked it is."""
        return "revoked" if self.revoked_at else "expired" if self.expires_at <= now else "open"
