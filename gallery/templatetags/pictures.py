"""Which of an asset's files a page shows, and how wide it will be there: `{% load pictures %}`."""

from collections.abc import Callable
from typing import Final

from django import template

from gallery.models import Asset

register = template.Library()


def _number(value: float) -> str:
    return f"{value:.4g}"


def _row(r: float) -> str:
    wide, usual, narrow = (_number(height * r) for height in (15, 12.5, 9))
    return f"(min-width:80rem) {wide}rem,(min-width:44rem) {usual}rem,{narrow}rem"


def _cell(r: float) -> str:
    share = min(1, r / 1.5)
    return f"(min-width:44rem) {_number(27 * share)}rem,{_number(100 * share)}vw"


# Where pictures stand: for `sizes`, by the width over height `r` of the picture, and none wider than that.
PLACES: Final[dict[str, Callable[[float], str]]] = {
    # Rows of one height, a little higher where a row is stretched.
    "row": _row,
    # A cell of three by two on the contact sheet.
    "cell": _cell,
    "strip": lambda r: f"{_number(5.4 * r)}rem",
    # Squares of 72 px that a picture of any shape fills.
    "pick": lambda r: f"{_number(4.5 * max(1, r))}rem",
    "half": lambda r: f"(min-width:48rem) min(50vw,{_number(70 * r)}vh),min(100vw,{_number(70 * r)}vh)",
    "plate": lambda r: f"(min-width:60rem) min(100vw - 28rem,{_number(82 * r)}vh),min(100vw,{_number(82 * r)}vh)",
}


@register.filter
def srcset(asset: Asset, place: str = "row") -> str:
    """The thumbnails by their widths; where it is large and a screen can show more, the picture itself."""
    found = [f"{asset.address}/thumbnail/{width} {width}w" for width in sorted(map(int, asset.thumbnails))]
    if place in ("half", "plate") and asset.kind == Asset.Kind.IMAGE and str(asset.width) not in asset.thumbnails:
        found.append(f"{asset.address}/file {asset.width}w")
    return ", ".join(found)


@register.filter
def sizes(asset: Asset, place: str = "row") -> str:
    """How wide it is shown at `place`."""
    return PLACES[place](asset.width / asset.height if asset.width and asset.height else 1.5)


@register.filter
def can_be_shown(asset: Asset) -> bool:
    """Whether its file is there, and is what a browser, and so a model, can read: known once it was looked at."""
    return asset.missing_at is None and (bool(asset.thumbnail_key) or asset.due_at is not None)


@register.filter
def can_be_zoomed(asset: Asset) -> bool:
    """Whether it is a picture that is there to be looked at closely."""
    return asset.kind == Asset.Kind.IMAGE and bool(asset.thumbnail_key) and asset.missing_at is None


@register.filter
def is_moving(asset: Asset) -> bool:
    """Whether a still thumbnail would hide that it moves: its own page then shows the picture itself."""
    return asset.kind == Asset.Kind.IMAGE and (bool(asset.preview_key) or asset.content_type == "image/gif")
