"""What is being written and was not asked for yet."""

from typing import ClassVar

from django.conf import settings
from django.db import models


class Draft(models.Model):
    """What stands in a creator's form for one model: `values` as the form has them (strings, lists of asset ids).

    `before` is what stood there when it was last cleared, for a change of mind.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="drafts")
    model = models.CharField(max_length=128)
    values = models.JSONField(default=dict)
    before = models.JSONField(null=True)
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "model"], name="draft_once_per_user_and_model"),
        ]

    def __str__(self) -> str:
        return f"draft of {self.user_id} for {self.model}"
