"""What the parts of the pages need to be shown: fields with and without errors, prices, limits, charts, empty lists."""

from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from django import forms
from django.contrib.messages.storage.base import Message
from django.utils import timezone

from accounts.quotas import Meter
from accounts.storage_room import Room
from accounts.web import charts
from accounts.web.toasts import UNDO
from gallery.models import Asset
from gallery.web.browsing import Option
from generation import catalog
from generation.catalog.base import Field
from generation.web.budget import Estimate, Money
from generation.web.fields import BoundField
from generation.web.offers import Offer
from palette.styleguide.cards import BANANA, FLUX, SEEDANCE
from palette.styleguide.pictures import film, picture

DOLLAR = 1_000_000
# The prompt, and pictures, are shown by themselves.
NOT_OPTIONS = ("file", "files", "text")


class Account(forms.Form):
    """Two fields: one to fill in, one filled in wrongly."""

    name = forms.CharField(max_length=40, required=False)
    email = forms.EmailField()


def fields() -> dict[str, Any]:
    """Fields of the forms of accounts, and of the composer."""
    found: dict[str, Field] = {}
    for field in (field for model in (BANANA, SEEDANCE, FLUX) for field in catalog.get(model).fields):
        if field.shown and field.kind not in NOT_OPTIONS:
            found.setdefault(field.name, field)
    return {
        "account": Account({"name": "Ines", "email": "ines@"}),
        "options": [BoundField(field, field.default, ()) for field in found.values()],
    }


def composing(*, now: datetime) -> dict[str, Any]:
    """The model picker, references, and the cost line as it may stand."""
    specs = [catalog.get(name) for name in (BANANA, FLUX, SEEDANCE)]
    prices = ("$0.039 each", "$0.003 each", "$0.18 for 5 s")
    offers = [Offer(spec, price, True) for spec, price in zip(specs, prices, strict=True)]
    offers[1] = Offer(specs[1], prices[1], True, paused="prices are being checked.")
    chosen = [
        picture("lake", now=now, reference_name="harbour-study"),
        picture("vases", now=now, frame_number=412),
    ]
    references = specs[0].field(specs[0].references)
    left = Money(4_210_000, 61_100_000)
    return {
        "composer": SimpleNamespace(spec=specs[0]),
        "offers": offers,
        "offer": offers[0],
        "references": references and BoundField(references, [], (), chosen),
        "estimates": [
            Estimate(39_000, 39_000, 1, False, left, ""),
            Estimate(156_000, 39_000, 4, False, left, ""),
            Estimate(480_000, 480_000, 1, True, Money(None, None), ""),
        ],
    }


def figures(*, now: datetime) -> dict[str, Any]:
    """Limits near and far, the store, a month of spend."""
    today = timezone.localdate(now)
    first = today.replace(day=1)
    days = [(first + timedelta(days=n), _spent(first + timedelta(days=n), today)) for n in range(30)]
    return {
        "limits": [
            _limit("near", "usd", Meter(5 * DOLLAR, 790_000, 39_000)),
            _limit("far", "count", Meter(200, 187, 4)),
            _limit("none", "usd", Meter(None, 29_675_905, 0)),
        ],
        "storage": charts.storage(Room(1_460_000_000, 5_000_000_000)),
        "chart": charts.spend_chart(days, today=today, limit=5 * DOLLAR),
        "usage_limit": 5 * DOLLAR,
    }


def _limit(id: str, unit: str, meter: Meter) -> charts.Limit:
    used, held = charts.share(meter.settled, meter.limit), charts.share(meter.reserved, meter.limit)
    name = "Spent today" if unit == "usd" else "Made today"
    return charts.Limit(id, name, unit, meter, "00:00", used, held, note="")


def _spent(day: date, today: date) -> int:
    return 0 if day > today else DOLLAR * (1 + day.day * 7 % 5) // (3 if day.weekday() > 4 else 1)


def gallery(*, now: datetime) -> dict[str, Any]:
    """Frames as they may be, filters, what is being sent."""
    gone = {"thumbnail_key": ""}
    return {
        "frames": [
            picture("lake", now=now, frame_number=466, favourite=True),
            film("sea", now=now, seconds=8, frame_number=465),
            picture("valley", now=now, frame_number=464, output_index=1),
            picture("window", now=now, title="Late window"),
            picture("rope", now=now, frame_number=462, missing_at=now),
            picture("skyline", now=now, frame_number=461, due_at=now, **gone),
            picture("mountains", now=now, frame_number=460, **gone),
        ],
        "lineage": {
            "sources": [picture("lake", now=now, frame_number=440), picture("vases", now=now, title="Vases")],
            "asset": picture("mountains", now=now, frame_number=461),
            "results": [film("sea", now=now, seconds=8, frame_number=463)],
        },
        "kinds": [Option(name, "?", name == "All") for name in ("All", "Images", "Films")],
        "menus": {"Model": [Option("All models", "?", True), Option("nano-banana", "?", False, "46")]},
        "favourites": Option("Favourites", "?", False),
        "sorts": [Option("Newest", "?", True), Option("Oldest", "?", False)],
        "sizes": [Option(name, "?", name == "M") for name in "SML"],
        "categories": Asset.Category.choices,
        "tags": ["blue hour", "lake"],
        "collections": ["Night ferry"],
        "chips": [Option("tag: lake", "?", False), Option("model: nano-banana", "?", False)],
    }


def messages() -> list[Message]:
    """What appears in the corner of a page."""
    return [
        Message(25, "Your own limits are saved."),
        Message(25, "Frame 461 moved to trash.", extra_tags=f"{UNDO}/styleguide"),
        Message(30, "Two of four runs were not asked for: today's limit is reached."),
    ]
