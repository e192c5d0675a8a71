"""What was made: assets with a snapshot of how, and the words and places by which their owner finds them again."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Q
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy
from uuid6 import uuid7

from accounts.models import User
from gallery.leases import Leased
from gallery.links import ShareLink as ShareLink
from gallery.remains import DiscardedObject as DiscardedObject
from gallery.remains import PurgedSource as PurgedSource
from gallery.spelling import Spelling as Spelling


class AssetQuerySet(models.QuerySet["Asset"]):
    """The words in which the gallery speaks of many assets."""

    def for_owner(self, user: User) -> "AssetQuerySet":
        """Those that `user` owns; another's do not exist."""
        return self.filter(owner=user)

    def kept(self) -> "AssetQuerySet":
        """Those that are not in the trash."""
        return self.filter(trashed_at=None)

    def in_trash(self) -> "AssetQuerySet":
        """Those that were put aside."""
        return self.exclude(trashed_at=None)


class Tag(models.Model):
    """A word of one owner's."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=60)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "name"], name="tag_once_per_owner")]

    def __str__(self) -> str:
        return self.name


class OwnCategory(models.Model):
    """A category that an owner has beside the five that everybody has."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="categories")
    name = models.CharField(max_length=40)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "name"], name="category_once_per_owner")]

    def __str__(self) -> str:
        return self.name


class Collection(models.Model):
    """What belongs together: a film, a client, a night. An asset may lie in several."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="collections")
    name = models.CharField(max_length=60)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "name"], name="collection_once_per_owner")]

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
        """Those that everybody has; an owner may add others (`OwnCategory`)."""

        NONE = "", gettext_lazy("Uncategorised")
        PEOPLE = "people", gettext_lazy("People")
        PLACES = "places", gettext_lazy("Places")
        PROPS = "props", gettext_lazy("Props")
        LAYOUTS = "layouts", gettext_lazy("Layouts")
        STYLES = "styles", gettext_lazy("Styles")

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
    notes = models.TextField(blank=True, default="")
    category = models.CharField(max_length=40, blank=True, default="")
    favourite = models.BooleanField(default=False)
    # The name by which prompts call it now; which asset it meant when, `ReferenceVersion` knows.
    reference_name = models.CharField(max_length=40, blank=True, default="")
    tags = models.ManyToManyField(Tag, through="Tagging", related_name="assets", blank=True)
    # Whether there is a row in `tags`: the untagged have an index of their own.
    tagged = models.BooleanField(default=False)
    collections = models.ManyToManyField(Collection, through="CollectionItem", related_name="assets", blank=True)

    objects = AssetQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        # One for each filter, each in the order in which pages are read, so that none is slower for a larger gallery.
        indexes: ClassVar = [
            *(
                models.Index(
                    fields=["owner", *fields, "-created_at", "-id"], condition=Q(trashed_at=None), name=f"asset_{name}"
                )
                for name, fields in {
                    "kept": [],
                    "by_kind": ["kind"],
                    "by_origin": ["origin"],
                    "by_model": ["model"],
                    "by_category": ["category"],
                    "by_favourite": ["favourite"],
                    "by_tagged": ["tagged"],
                }.items()
            ),
            models.Index(
                fields=["owner", "-created_at", "-id"], condition=Q(trashed_at__isnull=False), name="asset_trash"
            ),
            models.Index(
                fields=["owner", "trashed_at"], condition=Q(trashed_at__isnull=False), name="asset_trashed_at"
            ),
            # Whose time in the trash is over, whoever owns it.
            models.Index(fields=["trashed_at"], condition=Q(trashed_at__isnull=False), name="asset_purge"),
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="asset_due"),
            models.Index(fields=["owner", "-size_bytes", "-id"], condition=Q(trashed_at=None), name="asset_by_size"),
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

    @cached_property
    def address(self) -> str:
        """Where its files are served from; set to another where visitors see it."""
        return f"/assets/{self.pk}"

    @cached_property
    def thumbnail_address(self) -> str:
        """Where the smallest picture of it is served from."""
        return f"{self.address}/thumbnail"

    def derived_keys(self) -> set[str]:
        """The keys of everything that was made to show it; the middle word of each is the asset's id."""
        return {self.thumbnail_key, self.poster_key, self.preview_key, *self.thumbnails.values()} - {""}


class Placement(models.Model):
    """That an asset has a tag or lies in a collection.

    When the asset was made and whether it is kept stand here too, so that one index gives the newest of a tag.
    """

    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="%(class)ss")
    created_at = models.DateTimeField()
    kept = models.BooleanField(default=True)

    class Meta:
        abstract = True


class Tagging(Placement):
    """An asset and one of its tags."""

    tag = models.ForeignKey(Tag, on_delete=models.CASCADE, related_name="taggings")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["asset", "tag"], name="tagging_once")]
        indexes: ClassVar = [
            models.Index(fields=["tag", "-created_at", "-asset"], condition=Q(kept=True), name="tagging_newest")
        ]

    def __str__(self) -> str:
        return f"{self.tag_id} on {self.asset_id}"


class CollectionItem(Placement):
    """An asset and a collection that it lies in."""

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="items")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["asset", "collection"], name="collection_item_once")]
        indexes: ClassVar = [
            models.Index(
                fields=["collection", "-created_at", "-asset"], condition=Q(kept=True), name="collection_item_newest"
            )
        ]

    def __str__(self) -> str:
        return f"{self.asset_id} in {self.collection_id}"


class ReferenceVersion(models.Model):
    """Which asset a reference name meant from `created_at` on, until the next version.

    Kept when the name moves on, and when the asset is deleted for good, so that no version is counted twice.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="reference_versions")
    name = models.CharField(max_length=40)
    version = models.PositiveIntegerField()
    asset = models.ForeignKey(Asset, null=True, on_delete=models.SET_NULL, related_name="reference_versions")
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "name", "version"], name="reference_version_once")
        ]

    def __str__(self) -> str:
        return f"@{self.name} v{self.version}"


class TermsField(models.TextField):  # type: ignore[type-arg]
    """Words to be found by, as the database's full-text search keeps them. Written, never read."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """A tsvector on PostgreSQL; text, which an FTS5 table indexes, on SQLite."""
        return "tsvector" if connection.vendor == "postgresql" else "text"


class AssetDocument(models.Model):
    """What an asset is found by. Kept in the same transaction as that which it is made of (`gallery.documents`).

    Its number grows with time: results are in its order. A migration that rebuilds this table on SQLite has to make
    the FTS5 table's triggers again.
    """

    asset = models.OneToOneField(Asset, on_delete=models.CASCADE, related_name="document")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField()
    kept = models.BooleanField(default=True)
    terms = TermsField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["owner", "kept", "-id"], name="document_newest"),
            models.Index(fields=["owner", "-created_at"], name="document_by_date"),
        ]

    def __str__(self) -> str:
        return str(self.asset_id)
