"""How money, time, sizes, shapes and icons are written in templates: `{% load studio %}`."""

import re
from functools import lru_cache
from typing import Any, Final

from django import template
from django.conf import settings
from django.contrib.messages.storage.base import Message
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.money import rounded
from accounts.sizes import size
from accounts.web.toasts import UNDO

register = template.Library()
register.filter("bytes", size)

# The shapes that have a class in tokens.css; every picture takes the nearest.
RATIOS: Final = ("21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16")


def quotient(ratio: str) -> float:
    """Width over height of "16:9"."""
    width, height = ratio.split(":")
    return float(width) / float(height)


CLASSES: Final = {quotient(name): "r-" + name.replace(":", "x") for name in RATIOS}


# What every page looks like, in this order; in production `palette.sheets` makes one file of them.
SHEETS: Final = tuple(f"css/{name}.css" for name in ("tokens", "app", "studio", "gallery", "figures"))
ALL_SHEETS: Final = "css/all.css"


@register.simple_tag
def sheets() -> SafeString:
    """Links to the sheets of every page: each where it lies, or to all as one where they were collected."""
    names = SHEETS if settings.WHITENOISE_USE_FINDERS else (ALL_SHEETS,)
    return format_html_join("\n", '<link rel="stylesheet" href="{}">', ([static(name)] for name in names))


@register.simple_tag
@lru_cache
def symbol(name: str) -> str:
    """The address of one symbol of icons.svg, "i-tag" or "m-star"; for a process always the same."""
    return f"{static('icons.svg')}#{name}"


@register.simple_tag
@lru_cache
def icon(name: str) -> SafeString:
    """One symbol of icons.svg, hidden from readers: the words beside it say the same."""
    return format_html(
        '<svg class="i" viewBox="0 0 24 24" aria-hidden="true"><use href="{}"/></svg>', symbol(f"i-{name}")
    )


@register.simple_tag(takes_context=True)
def current(context: template.Context, prefix: str) -> SafeString:
    """`aria-current` for the navigation's link to the page that is open; "/" is matched whole."""
    request = context.get("request")
    path = getattr(request, "path", "")
    here = path == prefix or (prefix != "/" and bool(prefix) and path.startswith(prefix))
    return format_html(' aria-current="{}"', "page") if here else SafeString("")


@register.filter
def usd(micros: int | None) -> str:
    """Micro-dollars as "$4.21", below a dollar with as many digits as it needs: "$0.039"."""
    return "" if micros is None else rounded(micros)


@register.filter
def clock(seconds: float | None) -> str:
    """Seconds as "0:52" or "1:02:03"."""
    if seconds is None:
        return ""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@register.filter
def seconds(value: float | None) -> str:
    """A run's length as "8.1 s", from a minute on as "1:14"."""
    if value is None:
        return ""
    return f"{value:.1f} s" if value < 60 else clock(value)


@register.filter
def span(value: float | None) -> str:
    """About how long: "11 s", from a minute on "1:14"."""
    if value is None:
        return ""
    return f"{value:.0f} s" if value < 59.5 else clock(round(value))


@register.filter
def ratio(value: Any) -> str:
    """The class of the nearest shape, "r-16x9", for "16:9" or for anything with a width and a height."""
    if isinstance(value, str):
        share = quotient(value) if re.fullmatch(r"[1-9]\d*:[1-9]\d*", value) else 1.5
    else:
        share = value.width / value.height if value.width and value.height else 1.5
    return nearest(share)


@lru_cache(maxsize=256)
def nearest(share: float) -> str:
    """The class of the shape whose quotient is in proportion nearest to `share`."""
    return CLASSES[min(CLASSES, key=lambda quotient: abs(quotient / share - 1) if share else 0)]


@register.simple_tag
def placeholder(digits: str) -> SafeString:
    """Its three colours, top to bottom, of a picture that is on its way: kept as 18 hex digits; nothing for others."""
    if not re.fullmatch(r"[0-9a-fA-F]{18}", digits or ""):
        return SafeString("")
    colours = (f"#{digits[start : start + 6]}" for start in (0, 6, 12))
    return format_html('<svg class="ph" fill="{}" stroke="{}" color="{}"><use href="#bands"/></svg>', *colours)


@register.filter
def thousands(count: int) -> str:
    """A number of things as "1,164"."""
    return f"{count:,}"


@register.filter
def short_model(model: str) -> str:
    """A model without its owner: "nano-banana"."""
    return model.rpartition("/")[2]


@register.filter
def undo(message: Message) -> str:
    """Where a message's way back leads, on this site; empty for one that offers none."""
    _, _, address = message.extra_tags.partition(UNDO) if message.extra_tags else ("", "", "")
    return address if address.startswith("/") else ""


@register.filter
def ordinal(number: int) -> str:
    """A place in a queue: "3rd"."""
    teens = 10 <= number % 100 <= 20
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
