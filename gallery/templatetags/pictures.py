"""What an asset is called, which of its files a page shows, and how wide it will be there: `{% load pictures %}`."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from django import template
from django.template import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from accounts.fragments import fragment
from accounts.templatetags.studio import clock, icon, placeholder
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

# Where it is shown as it is.
LARGE: Final = ("half", "plate")
# When it is fetched, by `eager`.
WHEN: Final = {"first": SafeString(' fetchpriority="high"'), False: SafeString(' loading="lazy"')}
SAID_OF_FRAMES: Final = ("selecting", "by_size", "in_trash")
# What is read out of a title or a prompt.
LONGEST_NAME: Final = 240


@register.filter
def number(asset: Asset) -> str:
    """The frame's number, "12"; of the second and later files of one frame "12.2"."""
    return f"{asset.frame_number}.{asset.output_index + 1}" if asset.output_index else str(asset.frame_number or "")


@register.filter
def called(asset: Asset) -> str:
    """ "frame 12.2"; of an upload its title."""
    return f"{_('frame')} {number(asset)}" if asset.frame_number else asset.title or _("upload")


@register.simple_tag(takes_context=True)
def frame(context: Context, asset: Asset, eager: bool | str = False) -> SafeString:
    """A frame of the gallery; the page says whether frames are selected (`selecting`, `picked`), what they are sorted
    by (`by_size`), and whether they are in the trash (`in_trash`)."""
    said = {name: bool(context.get(name)) for name in SAID_OF_FRAMES}
    picked = [asset.pk] if asset.pk in (context.get("picked") or ()) else []
    decided_by = [asset, asset.address]
    return fragment("gallery/_asset_frame.html", decided_by, {"asset": asset}, eager=eager, picked=picked, **said)


@register.simple_tag
def picture(asset: Asset, place: str = "row", eager: bool | str = False, decorative: bool = False) -> SafeString:
    """What lies inside `.pic`, at one of `PLACES`.

    Of those that do not wait to be scrolled to, one is `eager="first"`, so that the others do not hold it up. What
    could not be derived is no picture for a browser either: it can be downloaded. Of a missing file its thumbnail may
    be left.
    """
    return placeholder(asset.placeholder) + _image(asset, place, eager, decorative) + _over(asset)


def _image(asset: Asset, place: str, eager: bool | str, decorative: bool) -> SafeString:
    if not asset.thumbnail_key:
        return SafeString("")
    if is_moving(asset) and place in LARGE:
        files = format_html('src="{}/file"', asset.address)
    else:
        widths, preview = SafeString(""), SafeString("")
        if asset.thumbnails:
            auto = "" if eager else "auto,"
            widths = format_html(' srcset="{}" sizes="{}{}"', srcset(asset, place), auto, sizes(asset, place))
        if asset.preview_key:
            preview = format_html(' data-preview="{}/preview"', asset.address)
        files = format_html('src="{}"{}{}', asset.thumbnail_address, widths, preview)
    when = WHEN.get(eager or False, SafeString(""))
    return format_html(
        '<img {} width="{}" height="{}" alt="{}"{}>',
        files,
        asset.width or "",
        asset.height or "",
        "" if decorative else described(asset),
        when,
    )


def _over(asset: Asset) -> SafeString:
    """What is written over it."""
    if asset.missing_at:
        return format_html('<span class="gone">{}</span>', _("The file is missing"))
    if asset.kind == Asset.Kind.VIDEO:
        return format_html('<span class="run num">{}{}</span>', icon("play"), clock(asset.duration_seconds))
    if not asset.thumbnail_key and not asset.due_at:
        return format_html('<span class="gone">{}</span>', _("Cannot be shown"))
    return SafeString("")


def described(asset: Asset) -> str:
    """In words, for those who do not see it."""
    text = asset.title or asset.prompt or _("Picture without a description")
    return text if len(text) <= LONGEST_NAME else Truncator(text).chars(LONGEST_NAME)


@register.filter
def srcset(asset: Asset, place: str = "row") -> str:
    """The thumbnails by their widths; where it is large and a screen can show more, the picture itself."""
    found = [f"{asset.address}/thumbnail/{width} {width}w" for width in sorted(map(int, asset.thumbnails))]
    if place in LARGE and asset.kind == Asset.Kind.IMAGE and str(asset.width) not in asset.thumbnails:
        found.append(f"{asset.address}/file {asset.width}w")
    return ", ".join(found)


@register.filter
def sizes(asset: Asset, place: str = "row") -> str:
    """How wide it is shown at `place`."""
    return _sizes(place, asset.width / asset.height if asset.width and asset.height else 1.5)


@lru_cache(maxsize=256)
def _sizes(place: str, r: float) -> str:
    return PLACES[place](r)


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
