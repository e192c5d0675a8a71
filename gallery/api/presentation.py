"""An asset as the API shows it."""

from typing import Any

from accounts.moments import moment
from gallery.models import Asset

# What PATCH takes, and what each is called inside.
WRITABLE = {
    "title": "title",
    "tags": "tags",
    "category": "category",
    "favourite": "favourite",
    "referenceName": "reference_name",
}
OUTSIDE = {inside: outside for outside, inside in WRITABLE.items()}


def shown(asset: Asset) -> dict[str, Any]:
    """The asset's JSON; its tags are best prefetched. What it was made from is left out where it was uploaded."""
    generated = {"prompt": asset.prompt, "model": asset.model, "predictionId": str(asset.prediction_id)}
    return {
        "id": str(asset.pk),
        "kind": asset.kind,
        "url": f"/assets/{asset.pk}/file",
        "thumbnailUrl": f"/assets/{asset.pk}/thumbnail" if asset.thumbnail_key else None,
        "width": asset.width,
        "height": asset.height,
        **({"durationSeconds": asset.duration_seconds} if asset.duration_seconds is not None else {}),
        "sizeBytes": asset.size_bytes,
        "contentType": asset.content_type,
        **(generated if asset.prediction_id else {}),
        "title": asset.title,
        "tags": sorted(tag.name for tag in asset.tags.all()),
        "category": asset.category,
        "favourite": asset.favourite,
        "referenceName": asset.reference_name,
        "createdAt": moment(asset.created_at),
    }
