"""Pictures and films to show parts with: assets that no table has, whose thumbnails lie among the static files."""

from datetime import datetime
from typing import Any, Final

from django.templatetags.static import static

from gallery.models import Asset

# Name of the file, its size, its three mean colours.
PICTURES: Final = {
    "lake": ("01", 720, 405, "6b536c6c5459654c55"),
    "vases": ("04", 720, 720, "a69079967f6a806a56"),
    "sea": ("05", 720, 405, "7e7383d8a99242475b"),
    "valley": ("06", 480, 720, "63746b616f65545e54"),
    "skyline": ("10", 960, 411, "675368936b6c342a2f"),
    "rope": ("14", 720, 480, "807f7d777674585856"),
    "mountains": ("34", 720, 405, "ad838c73595c8d6d6f"),
    "window": ("27", 720, 720, "34292a4630301a1e2a"),
}


def picture(name: str, *, now: datetime, **fields: Any) -> Asset:
    """The picture of that name as an asset; `fields` say what else is true of it."""
    file, width, height, placeholder = PICTURES[name]
    asset = Asset(
        kind=Asset.Kind.IMAGE,
        origin=Asset.Origin.GENERATED,
        created_at=now,
        content_type="image/webp",
        size_bytes=width * height,
        width=width,
        height=height,
        placeholder=placeholder,
        prompt=f"A study of the {name}",
    )
    asset.thumbnail_key, asset.thumbnail_address = name, static(f"img/{file}.webp")
    for field, value in fields.items():
        setattr(asset, field, value)
    return asset


def film(name: str, *, now: datetime, seconds: float, **fields: Any) -> Asset:
    """The same as a film, by its poster."""
    return picture(name, now=now, kind=Asset.Kind.VIDEO, duration_seconds=seconds, **fields)
