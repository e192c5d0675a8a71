"""Which of an asset's files a page shows, and how wide it will be there: `{% load pictures %}`."""

from typing import Final

from django import template

from gallery.models import Asset

register = template.Library()

# Where pictures stand: widths by the width over height `r` of the picture, for `sizes`, and none wider than that.
PLACES: Final = {
    # Rows of one height, a little higher where a row is stretched.
    "row": "(min-width: 80rem) calc(15rem * {r}), (min-width: 44rem) calc(12.5rem * {r}), calc(9rem * {r})",
    # A cell of three by two on the contact sheet.
    "cell": "(min-width: 44rem) calc(27rem * {cell}), calc(100vw * {cell})",
    "strip": "calc(5.4rem * {r})",
    # Squares of 72 px that a picture of any shape fills.
    "pick": "calc(4.5rem * {fill})",
    "half": "(min-width: 48rem) min(50vw, 70vh * {r}), min(100vw, 70vh * {r})",
    "plate": "(min-width: 60rem) min(100vw - 28rem, 82vh * {r}), min(100vw, 82vh * {r})",
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
    share = asset.width / asset.height if asset.width and asset.height else 1.5
    return PLACES[place].format(r=round(share, 2), cell=round(min(1, share / 1.5), 2), fill=round(max(1, share), 2))


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
