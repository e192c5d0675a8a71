"""What is left of an asset that was deleted for good: objects in the store, and what its descendants say of it."""

from typing import ClassVar

from django.db import models


class DiscardedObject(models.Model):
    """An object that no asset names any more, until the store was seen to have deleted it.

    Written in the transaction that deletes the asset's row. `size_bytes` is what it takes of its owner's storage,
    0 for a derivative. The owner is a number, since an account may go first.
    """

    key = models.CharField(max_length=200, primary_key=True)
    owner_id = models.BigIntegerField(db_index=True)
    size_bytes = models.BigIntegerField(default=0)
    due_at = models.DateTimeField(db_index=True)
    # How often the store did not delete it.
    tries = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return self.key


class PurgedSource(models.Model):
    """What `asset` was made from and its owner has deleted since: its name as it was, and none of its words."""

    asset = models.ForeignKey("gallery.Asset", on_delete=models.CASCADE, related_name="purged_sources")
    source_id = models.UUIDField()
    kind = models.CharField(max_length=5)
    frame_number = models.PositiveIntegerField(null=True)
    output_index = models.PositiveSmallIntegerField(null=True)
    title = models.CharField(max_length=200, blank=True, default="")
    # The reference name by which it was used, and which version of it that was.
    reference_name = models.CharField(max_length=40, blank=True, default="")
    version = models.PositiveIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["asset", "source_id"], name="purged_source_once")]

    def __str__(self) -> str:
        return f"{self.source_id} of {self.asset_id}"
