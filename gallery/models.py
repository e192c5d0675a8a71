"""What was made: assets with a snapshot of how, and the tags that order them."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from uuid6 import uuid7

from accounts.models import User
from gallery.leases import Leased


class AssetQuerySet(models.QuerySet["Asset"]):
    """The words in which the gallery speaks of many assets."""

    def for_owner(self, user: User) -> "AssetQuerySet":
        """Those that `user` owns; another's do not exist."""
        return self.filter(owner=user)

    def kept(self) -> "AssetQuerySet":
        """Those that are not in the trash."""
        return self.filter(trashed_at=None)


class Tag(models.Model):
    """A word of one owner's."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=60)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "name"], name="tag_once_per_owner")]

    def __str__(self) -> str:
        return self.name


class Asset(Leased):
    """A stored picture or film. `due_at` asks for its derivatives (thumbnail, poster, placeholder).

    What it was made from is a snapshot, not a relation: the gallery does not know how things are made.
    """

    class Kind(models.TextChoices):
        IMAGE = "image"
        VIDEO = "video"

    class Origin(models.TextChoices):
        GENERATED = "generated"
        UPLOAD = "upload"

    class Category(models.TextChoices):
        NONE = "", "Uncategorised"
        PEOPLE = "people"
        PLACES = "places"
        PROPS = "props"
        LAYOUTS = "layouts"
        STYLES = "styles"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assets")
    kind = models.CharField(max_length=5, choices=Kind.choices)
    origin = models.CharField(max_length=9, choices=Origin.choices)
    created_at = models.DateTimeField()
    trashed_at = models.DateTimeField(null=True, blank=True)

    # the bytes
    storage_key = models.CharField(max_length=200, unique=True)
    content_type = models.CharField(max_length=40)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64, db_index=True)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    duration_seconds = models.FloatField(null=True, blank=True)
    # When the audit found nothing, or another size, under the key.
    missing_at = models.DateTimeField(null=True, blank=True)

    # derivatives; empty until made
    thumbnail_key = models.CharField(max_length=200, blank=True, default="")
    poster_key = models.CharField(max_length=200, blank=True, default="")
    # Width in pixels → key of the thumbnail that is so wide; `thumbnail_key` and `poster_key` are among them.
    thumbnails = models.JSONField(default=dict, blank=True)
    # The first seconds of what moves.
    preview_key = models.CharField(max_length=200, blank=True, default="")
    # Three mean colours, top to bottom, as 18 hex digits.
    placeholder = models.CharField(max_length=18, blank=True, default="")

    # how it was made
    prediction_id = models.UUIDField(null=True, blank=True, db_index=True)
    output_index = models.PositiveSmallIntegerField(null=True, blank=True)
    frame_number = models.PositiveIntegerField(null=True, blank=True)
    provider = models.CharField(max_length=16, blank=True, default="")
    model = models.CharField(max_length=128, blank=True, default="")
    prompt = models.TextField(blank=True, default="")
    settings = models.JSONField(default=dict, blank=True)
    seed = models.BigIntegerField(null=True, blank=True)
    cost_micros = models.BigIntegerField(null=True, blank=True)
    made_from = models.ManyToManyField("self", symmetrical=False, related_name="made_into", blank=True)

    # what its owner says of it
    title = models.CharField(max_length=200, blank=True, default="")
    category = models.CharField(max_length=40, choices=Category.choices, blank=True, default="")
    favourite = models.BooleanField(default=False)
    reference_name = models.CharField(max_length=40, blank=True, default="")
    tags = models.ManyToManyField(Tag, related_name="assets", blank=True)

    objects = AssetQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["owner", "-created_at", "-id"], name="asset_owner_newest"),
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="asset_due"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["prediction_id", "output_index"],
                condition=Q(prediction_id__isnull=False),
                name="asset_once_per_output",
            ),
            models.UniqueConstraint(
                fields=["owner", "reference_name"],
                condition=~Q(reference_name=""),
                name="asset_reference_name_once_per_owner",
            ),
        ]

    def __str__(self) -> str:
        return self.title or str(self.id)

    def derived_keys(self) -> set[str]:
        """The keys of everything that was made to show it; the middle word of each is the asset's id."""
        return {self.thumbnail_key, self.poster_key, self.preview_key, *self.thumbnails.values()} - {""}
