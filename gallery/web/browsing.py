"""What the gallery's pages show of many assets: one page of frames, the filters, the neighbours of one."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, QueryDict

from accounts.api.cursor import Cursor, beyond
from accounts.models import User
from accounts.templatetags.studio import short_model
from gallery.models import Asset, AssetQuerySet, Tag
from gallery.search import narrowed
from gallery.web.forms import FilterForm

FRAMES = 40
MOST_OPTIONS = 100
# Only among the newest are models looked for: a distinct over a million rows is no menu.
LOOKED_AT = 500
FILTERS = ("kind", "origin", "model", "tag", "category", "favourite", "q")
SIZES = ("s", "m", "l")


@dataclass(frozen=True)
class Option:
    """A link that sets or lifts one filter; `query` is the whole query string."""

    label: str
    query: str
    chosen: bool


@dataclass(frozen=True)
class Frames:
    """One page: its assets, and where the older ones begin."""

    assets: list[Asset]
    older: str


def frames(user: User, query: QueryDict) -> Frames:
    """The page of the owner's assets that `query` asks for."""
    rows: AssetQuerySet = Asset.objects.for_owner(user)
    rows = rows.exclude(trashed_at=None) if query.get("trash") else rows.kept()
    rows = narrowed(rows, FilterForm(query).chosen())
    if cursor := read_cursor(query):
        rows = rows.filter(beyond(cursor))
    found = list(rows.order_by("-created_at", "-pk")[: FRAMES + 1])
    older = with_changes(query, cursor=str(Cursor.beside(found[FRAMES - 1]))) if len(found) > FRAMES else ""
    return Frames(found[:FRAMES], older)


def read_cursor(query: QueryDict) -> Cursor | None:
    """A cursor that cannot be read begins at the newest."""
    try:
        return Cursor.read(str(query["cursor"])) if query.get("cursor") else None
    except ValueError:
        return None


def with_changes(query: QueryDict, **changes: str) -> str:
    """The query string with these parameters set, or without them where empty."""
    kept = {name: query[name] for name in (*FILTERS, "size", "trash") if query.get(name)}
    return "?" + urlencode({name: value for name, value in (kept | changes).items() if value})


def menus(user: User, query: QueryDict) -> dict[str, list[Option]]:
    """The filters that have a menu, each with its options."""
    newest = Asset.objects.for_owner(user).kept().exclude(model="").values_list("model", flat=True)[:LOOKED_AT]
    tags = Tag.objects.filter(owner=user).order_by("name").values_list("name", flat=True)[:MOST_OPTIONS]
    choices = {
        "Model": [("model", name, name) for name in sorted(set(newest))],
        "Tag": [("tag", name, name) for name in tags],
        "Category": [("category", value, label) for value, label in Asset.Category.choices if value],
        "Source": [("origin", "generated", "Generated"), ("origin", "upload", "Uploads")],
    }
    return {label: [option(query, *choice) for choice in options] for label, options in choices.items()}


def option(query: QueryDict, name: str, value: str, label: str) -> Option:
    """A link that sets `name`, or lifts it where it is set."""
    chosen = query.get(name, "") == value
    return Option(label, with_changes(query, **{name: "" if chosen and value else value}), chosen)


def chips(query: QueryDict) -> list[Option]:
    """What is filtered by a menu or a word, each to be taken away."""
    words = {"origin": "source", "q": "search"}
    chosen = FilterForm(query).chosen()
    return [
        Option(f"{words.get(name, name)}: {_said(name, chosen[name])}", with_changes(query, **{name: ""}), True)
        for name in ("origin", "model", "tag", "category", "q")
        if name in chosen
    ]


def _said(name: str, value: str) -> str:
    """A chosen value in the words of its menu."""
    if name == "category":
        return str(Asset.Category(value).label)
    return short_model(value) if name == "model" else value


def neighbours(asset: Asset) -> tuple[Asset | None, Asset | None]:
    """The next older and the next newer asset of the same owner."""
    rows = Asset.objects.filter(owner_id=asset.owner_id).kept()
    older = rows.filter(beyond(Cursor.beside(asset))).order_by("-created_at", "-pk").first()
    newer = rows.filter(beyond(Cursor.beside(asset, newer=True))).order_by("created_at", "pk").first()
    return older, newer


def context(request: HttpRequest, user: User) -> dict[str, object]:
    """Everything the gallery page shows."""
    query = request.GET
    return {
        "frames": frames(user, query),
        "kinds": [
            option(query, "kind", value, label)
            for value, label in [("", "All"), ("image", "Images"), ("video", "Films")]
        ],
        "menus": menus(user, query),
        "favourites": option(query, "favourite", "1", "Favourites"),
        "sizes": [Option(size.upper(), with_changes(query, size=size), size == size_of(query)) for size in SIZES],
        "size": size_of(query),
        "chips": chips(query),
        "filtered": bool(FilterForm(query).chosen()),
        "first_page": read_cursor(query) is None,
        "newest": with_changes(query),
        "in_trash": bool(query.get("trash")),
    }


def size_of(query: QueryDict) -> str:
    """S, M or L in lower case; M unless asked otherwise."""
    size = str(query.get("size", ""))
    return size if size in SIZES else "m"
