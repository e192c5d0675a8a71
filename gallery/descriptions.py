"""What an owner says of one asset: title, notes, tags, category, favourite, reference name."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext, gettext_noop

from gallery.documents import NO_CATEGORY, write_documents
from gallery.models import Asset, OwnCategory, ReferenceVersion, Tag
from gallery.turns import wait_turn

MOST_TAGS = 30
MOST_NOTES = 4000
MOST_CATEGORIES = 50
REFERENCE_NAME = re.compile(r"[\w-]+(\.[\w-]+)*", re.ASCII)
BUILT_IN = tuple(filter(None, Asset.Category.values))
JUST_REMOVED = gettext_noop("A tag or collection was removed at the same moment. Try again.")


class InvalidDetails(Exception):
    """What an owner says of an asset cannot be kept; `errors` has one sentence for each field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


class ReferenceNameTaken(InvalidDetails):
    """The name belongs to another asset; `update_asset` can move it."""


def update_asset(*, asset: Asset, changes: Mapping[str, Any], now: datetime, moving: bool = False) -> Asset:
    """Write what an owner says: any of title, notes, tags, category, favourite, reference_name.

    A reference name that another asset has is taken from it when `moving`. Raises InvalidDetails, and
    ReferenceNameTaken where moving would help.
    """
    details = checked(changes, owner_id=asset.owner_id)
    if not details:
        return asset
    tags, name = details.pop("tags", None), details.pop("reference_name", None)
    try:
        with transaction.atomic():
            # Locked, so that of two changes at once the second writes a document that has both.
            Asset.objects.select_for_update(no_key=True).get(pk=asset.pk)
            for field, value in details.items():
                setattr(asset, field, value)
            if tags is not None:
                wear(asset, tags)
                asset.tagged = bool(tags)
                details["tagged"] = asset.tagged
            if details:
                asset.save(update_fields=list(details))
            changed = [asset.pk]
            if name is not None:
                changed += point(asset, name, now=now, moving=moving)
            write_documents(changed)
    except IntegrityError:
        raise (taken(name) if name else InvalidDetails({"tags": gettext(JUST_REMOVED)})) from None
    return asset


def wear(asset: Asset, names: list[str]) -> None:
    """Give the asset these tags and no others."""
    placed = {"created_at": asset.created_at, "kept": asset.trashed_at is None}
    asset.tags.set(own_tags(asset.owner_id, names), through_defaults=placed)


def own_tags(owner_id: int, names: Iterable[str]) -> list[Tag]:
    """The owner's tags of these names, made where there are none."""
    wanted = list(names)
    Tag.objects.bulk_create([Tag(owner_id=owner_id, name=name) for name in wanted], ignore_conflicts=True)
    return list(Tag.objects.filter(owner_id=owner_id, name__in=wanted))


def point(asset: Asset, name: str, *, now: datetime, moving: bool) -> list[Any]:
    """Let `name` mean this asset from now on, as a new version; returns which other assets that changes."""
    before = Asset.objects.filter(owner_id=asset.owner_id, reference_name=name).exclude(pk=asset.pk).first()
    if name and before:
        if not moving:
            raise taken(name)
        Asset.objects.filter(pk=before.pk).update(reference_name="")
    if name:
        versions = ReferenceVersion.objects.filter(owner_id=asset.owner_id, name=name)
        last = versions.order_by("-version").first()
        if last is None or last.asset_id != asset.pk:
            number = last.version + 1 if last else 1
            ReferenceVersion.objects.create(
                owner_id=asset.owner_id, name=name, version=number, asset=asset, created_at=now
            )
    asset.reference_name = name
    asset.save(update_fields=["reference_name"])
    return [before.pk] if name and before else []


def taken(name: str) -> ReferenceNameTaken:
    """The error that names it."""
    return ReferenceNameTaken(
        {"reference_name": gettext("Another asset of yours has the reference name @%(name)s.") % {"name": name}}
    )


def add_category(*, owner_id: int, name: Any) -> str:
    """A category of the owner's own, made if there is none of this name. Raises InvalidDetails."""
    try:
        cleaned = line(name, most=40)
    except ValueError as error:
        raise InvalidDetails({"category": str(error)}) from None
    if not cleaned or cleaned.casefold() == NO_CATEGORY:
        raise InvalidDetails({"category": gettext("A category needs a name of its own.")})
    if cleaned.casefold() in BUILT_IN:
        return cleaned.casefold()
    own = OwnCategory.objects.filter(owner_id=owner_id)
    with transaction.atomic():
        wait_turn(owner_id)
        if own.filter(name=cleaned).exists():
            return cleaned
        if own.count() >= MOST_CATEGORIES:
            raise InvalidDetails({"category": too_many_categories()})
        OwnCategory.objects.bulk_create([OwnCategory(owner_id=owner_id, name=cleaned)], ignore_conflicts=True)
    return cleaned


def too_many_categories() -> str:
    """The sentence that refuses one more."""
    return gettext("At most %(most)s categories of your own are kept.") % {"most": MOST_CATEGORIES}


def checked(changes: Mapping[str, Any], *, owner_id: int) -> dict[str, Any]:
    """The changes cleaned; raises InvalidDetails with a sentence for each that cannot be kept."""
    cleaned, errors = {}, {}
    for name, value in changes.items():
        try:
            cleaned[name] = category(value, owner_id) if name == "category" else CHECKS[name](value)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise InvalidDetails(errors)
    return cleaned


def category(value: Any, owner_id: int) -> str:
    """One of the five, one of the owner's, or none."""
    if value == "" or value in BUILT_IN:
        return str(value)
    if isinstance(value, str) and OwnCategory.objects.filter(owner_id=owner_id, name=line(value, most=40)).exists():
        return line(value, most=40)
    sentence = gettext("The category is one of %(names)s, one of your own, or empty.")
    raise ValueError(sentence % {"names": ", ".join(BUILT_IN)})


def title(value: Any) -> str:
    """One line."""
    return line(value, most=200)


def notes(value: Any) -> str:
    """Lines of text."""
    if not isinstance(value, str):
        raise ValueError(gettext("Text is expected here."))
    text = value.replace("\r\n", "\n").strip()
    if len(text) > MOST_NOTES:
        raise ValueError(gettext("At most %(most)s characters are kept.") % {"most": MOST_NOTES})
    if "\x00" in text:
        raise ValueError(gettext("The text holds a character that cannot be kept."))
    return text


def reference_name(value: Any) -> str:
    """The name by which a prompt may call a picture (@lake-blue); kept without the @."""
    name = line(value, most=41).removeprefix("@")
    if name and (len(name) > 40 or not REFERENCE_NAME.fullmatch(name)):
        raise ValueError(gettext("A reference name has letters, digits, dots, hyphens and underscores, at most 40."))
    return name


def favourite(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(gettext("Favourite is true or false."))
    return value


def tag_names(value: Any) -> list[str]:
    """Each word once."""
    if not isinstance(value, list | tuple):
        raise ValueError(gettext("Tags are a list of words."))
    names = dict.fromkeys(filter(None, (line(tag, most=60) for tag in value)))
    if len(names) > MOST_TAGS:
        raise ValueError(gettext("At most %(most)s tags are kept.") % {"most": MOST_TAGS})
    return list(names)


def line(value: Any, *, most: int) -> str:
    """One line of text without superfluous spaces. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(gettext("Text is expected here."))
    text = " ".join(value.split())
    if len(text) > most:
        raise ValueError(gettext("At most %(most)s characters are kept.") % {"most": most})
    if "\x00" in text:
        raise ValueError(gettext("The text holds a character that cannot be kept."))
    return text


CHECKS: dict[str, Callable[[Any], Any]] = {
    "title": title,
    "notes": notes,
    "tags": tag_names,
    "favourite": favourite,
    "reference_name": reference_name,
}
