"""What the gallery's pages show of many assets: one page of frames, and the filters."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.http import QueryDict
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop

from accounts.api.cursor import Cursor
from accounts.models import User
from accounts.templatetags.studio import short_model
from gallery.documents import NO_CATEGORY
from gallery.models import Asset, Collection
from gallery.search import SizeCursor, find_assets, largest_assets, meant_instead
from gallery.shelves import COUNTED, Shelves, shelves_of
from gallery.web.forms import FilterForm

FRAMES = 40
FILTERS = (
    "kind",
    "origin",
    "model",
    "tag",
    "tagged",
    "category",
    "collection",
    "favourite",
    "since",
    "until",
    "q",
    "sort",
)
SIZES = ("s", "m", "l")
OLDEST, LARGEST = "oldest", "largest"
# What is filtered by a menu or a word, in the words of the menus.
SAID = {
    "origin": gettext_noop("source"),
    "model": gettext_noop("model"),
    "tag": gettext_noop("tag"),
    "tagged": gettext_noop("tags"),
    "category": gettext_noop("category"),
    "collection": gettext_noop("collection"),
    "since": gettext_noop("since"),
    "until": gettext_noop("up to"),
    "q": gettext_noop("search"),
}


@dataclass(frozen=True)
class Option:
    """A link that sets or lifts one filter; `query` is the whole query string, `count` how many fit, while small."""

    label: str
    query: str
    chosen: bool
    count: str = ""


@dataclass(frozen=True)
class Frames:
    """One page: its assets, and where the next ones begin."""

    assets: list[Asset]
    older: str


def frames(user: User, query: QueryDict) -> Frames:
    """The page of the owner's assets that `query` asks for."""
    if sort_of(query) == LARGEST:
        large = largest_assets(owner=user, cursor=_read(SizeCursor.read, query), most=FRAMES + 1)
        more = with_changes(query, cursor=str(SizeCursor.behind(large[FRAMES - 1]))) if len(large) > FRAMES else ""
        return Frames(large[:FRAMES], more)
    found = find_assets(
        owner=user,
        wanted=FilterForm(query).wanted(),
        cursor=read_cursor(query),
        oldest=oldest_first(query),
        most=FRAMES + 1,
    )
    older = with_changes(query, cursor=str(Cursor.beside(found[FRAMES - 1]))) if len(found) > FRAMES else ""
    return Frames(found[:FRAMES], older)


def retyped(user: User, query: QueryDict, sheet: Frames) -> str:
    """Where a search that found nothing goes on, in a request of its own: to what was meant, or nowhere; "" if done."""
    wanted = FilterForm(query).wanted()
    if sheet.assets or not wanted.q or "typed" in query or query.get("cursor"):
        return ""
    return with_changes(query, q=meant_instead(owner=user, wanted=wanted) or wanted.q, typed=wanted.q)


Place = TypeVar("Place")


def _read(read: Callable[[str], Place], query: QueryDict) -> Place | None:
    """A cursor that cannot be read begins at the first."""
    try:
        return read(str(query["cursor"])) if query.get("cursor") else None
    except ValueError:
        return None


def read_cursor(query: QueryDict) -> Cursor | None:
    """The place in the order of time."""
    return _read(Cursor.read, query)


def sort_of(query: QueryDict) -> str:
    """The order that is shown. That of size has an index for the whole gallery only: any filter goes before it."""
    sort = query.get("sort", "")
    return sort if sort == OLDEST or (sort == LARGEST and not FilterForm(query).chosen()) else ""


def oldest_first(query: QueryDict) -> bool:
    """Whether the sheet is asked for in the other order."""
    return sort_of(query) == OLDEST


def sorts(query: QueryDict) -> list[Option]:
    """The orders; that of size takes the filters away."""
    without = dict.fromkeys((*FILTERS, "trash"), "")
    choices = {"": gettext("Newest first"), OLDEST: gettext("Oldest first"), LARGEST: gettext("Largest first")}
    return [
        Option(
            label, with_changes(query, **(without if sort == LARGEST else {}) | {"sort": sort}), sort == sort_of(query)
        )
        for sort, label in choices.items()
    ]


def with_changes(query: QueryDict, **changes: str) -> str:
    """The query string with these parameters set, or without them where empty."""
    kept = {name: query[name] for name in (*FILTERS, "size", "trash", "select") if query.get(name)}
    return "?" + urlencode({name: value for name, value in (kept | changes).items() if value})


def menus(shelves: Shelves, query: QueryDict) -> dict[str, list[Option]]:
    """The filters that have a menu, each with its options."""
    named = [(name, name, count) for name, count in sorted(shelves.tags.items(), key=lambda item: item[0].casefold())]
    untagged = Option(
        gettext("Untagged"),
        with_changes(query, tagged="" if query.get("tagged") else "0", tag=""),
        query.get("tagged") == "0",
        said_count(shelves.untagged),
    )
    return {
        gettext("Model"): options(
            query, "model", ((name, short_model(name), n) for name, n in sorted(shelves.models.items()))
        ),
        gettext("Tag"): [untagged, *options(query, "tag", named, tagged=""), *_manage("tag", shelves.tags)],
        gettext("Category"): [
            *options(query, "category", category_names(shelves)),
            *_manage("category", shelves.categories),
        ],
        gettext("Collection"): [
            *options(query, "collection", ((name, name, n) for name, n in sorted(shelves.collections.items()))),
            *_manage("collection", shelves.collections),
        ],
        gettext("Source"): options(
            query, "origin", [("generated", gettext("Generated"), None), ("upload", gettext("Uploads"), None)]
        ),
    }


def _manage(kind: str, names: dict[str, int]) -> list[Option]:
    """The way to where they are renamed and removed, where there are any of the owner's own."""
    own = names.keys() - set(Asset.Category.values) if kind == "category" else names
    return (
        [Option(gettext("Rename or remove…"), f"{reverse('shelves')}?{urlencode({'kind': kind})}", False)]
        if own
        else []
    )


def category_names(shelves: Shelves) -> list[tuple[str, str, int | None]]:
    """Value, words and count of each category: none, the five, then the owner's own."""
    built_in = {value: str(label) for value, label in Asset.Category.choices}
    own = sorted((name for name in shelves.categories if name not in built_in), key=str.casefold)
    return [
        (value or NO_CATEGORY, built_in.get(value, value), shelves.categories.get(value)) for value in [*built_in, *own]
    ]


def category_choices(shelves: Shelves) -> list[tuple[str, str]]:
    """The same for a form, where none is empty."""
    return [("" if value == NO_CATEGORY else value, label) for value, label, _ in category_names(shelves)]


def options(
    query: QueryDict, name: str, choices: Iterable[tuple[str, str, int | None]], **changes: str
) -> list[Option]:
    """Links that set `name`, or lift it where it is set."""
    return [option(query, name, value, label, count, **changes) for value, label, count in choices]


def option(query: QueryDict, name: str, value: str, label: str, count: int | None = None, **changes: str) -> Option:
    """One of them."""
    chosen = query.get(name, "") == value
    target = with_changes(query, **changes, **{name: "" if chosen and value else value})
    return Option(label, target, chosen, said_count(count))


def said_count(count: int | None) -> str:
    """A count as it is shown: nothing is counted to the end."""
    return "" if count is None else str(count) if count < COUNTED else f"{COUNTED - 1}+"


def chips(query: QueryDict) -> list[Option]:
    """What is filtered by a menu or a word, each to be taken away."""
    chosen = FilterForm(query).chosen()
    return [
        Option(f"{gettext(said)}: {_said(name, chosen[name])}", with_changes(query, **{name: ""}), True)
        for name, said in SAID.items()
        if name in chosen
    ]


def _said(name: str, value: object) -> str:
    """A chosen value in the words of its menu."""
    match name:
        case "category":
            return str(dict(Asset.Category.choices).get("" if value == NO_CATEGORY else str(value), str(value)))
        case "model":
            return short_model(str(value))
        case "tagged":
            return gettext("none")
        case "origin":
            return gettext("generated") if value == Asset.Origin.GENERATED else gettext("upload")
    return date_format(value, "j F Y") if isinstance(value, date) else str(value)


def context(
    user: User, query: QueryDict, *, sheet: Frames | None = None, picked: Iterable[UUID] = ()
) -> dict[str, object]:
    """Everything the gallery page shows; `picked` are selected again."""
    shelves = shelves_of(user)
    sheet = sheet or frames(user, query)
    if query.get("select") == "all":
        picked = [asset.pk for asset in sheet.assets]
    dates = FilterForm(query).chosen()
    return {
        "frames": sheet,
        "kinds": options(
            query,
            "kind",
            [("", gettext("All"), None), ("image", gettext("Images"), None), ("video", gettext("Films"), None)],
        ),
        "menus": menus(shelves, query),
        "shelves": shelves,
        "categories": category_choices(shelves),
        "favourites": option(query, "favourite", "1", gettext("Favourites")),
        "sorts": sorts(query),
        "typed": "" if query.get("typed") == query.get("q") else query.get("typed", ""),
        "by_size": sort_of(query) == LARGEST,
        "sizes": [Option(size.upper(), with_changes(query, size=size), size == size_of(query)) for size in SIZES],
        "size": size_of(query),
        "chips": chips(query),
        "since": dates.get("since"),
        "until": dates.get("until"),
        "kept_in_date": hidden(query, without=("since", "until")),
        "kept_in_search": hidden(query, without=("q",)),
        "collection": Collection.objects.filter(owner=user, name=dates["collection"]).first()
        if "collection" in dates
        else None,
        "filtered": bool(set(dates) - {"trash"}),
        "first_page": (_read(SizeCursor.read, query) if sort_of(query) == LARGEST else read_cursor(query)) is None,
        # A new picture would stand first.
        "on_top": not (FilterForm(query).chosen() or sort_of(query) or query.get("cursor") or query.get("select")),
        "newest": with_changes(query),
        "in_trash": bool(query.get("trash")),
        "trash_days": settings.TRASH_DAYS,
        "selecting": bool(query.get("select")),
        "select": with_changes(query, select="1"),
        "select_all": with_changes(query, select="all", cursor=str(query.get("cursor", ""))),
        "done": with_changes(query, select=""),
        "picked": set(picked),
    }


def hidden(query: QueryDict, *, without: tuple[str, ...]) -> list[tuple[str, str]]:
    """What a form that sets some of the parameters carries along of the others."""
    names = (*FILTERS, "size", "trash", "select")
    return [(name, str(query[name])) for name in names if query.get(name) and name not in without]


def size_of(query: QueryDict) -> str:
    """S, M or L in lower case; M unless asked otherwise."""
    size = str(query.get("size", ""))
    return size if size in SIZES else "m"
