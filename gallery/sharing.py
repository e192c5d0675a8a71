"""Links that let visitors see one asset or one collection: made, opened, and ended at once by their owner."""

import base64
import hashlib
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.contrib.auth.hashers import check_password, make_password
from django.core.signing import BadSignature, TimestampSigner
from django.db import transaction
from django.db.models import F, Q
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext

from accounts.api.cursor import Cursor, beyond
from accounts.models import User
from gallery.descriptions import InvalidDetails
from gallery.links import ShareLinkQuerySet
from gallery.models import Asset, AssetQuerySet, Collection, ShareLink
from gallery.turns import wait_turn

LONGEST = timedelta(days=365)
LEAST_PASSWORD, MOST_PASSWORD = 8, 128
# To one thing, open ones.
MOST_LINKS = 20
MOST_TRIES = 10
TRIES_WITHIN = timedelta(minutes=15)
# By one link: a ZIP may be all that a line can carry for a long time.
MOST_ZIPS = 6
ZIPS_WITHIN = timedelta(minutes=15)
# After so long a visitor is asked for the password again.
PASS_FOR = timedelta(hours=12)
SALT = "gallery.sharing"


class NoSuchLink(Exception):
    """Never made, expired, revoked, or what it led to is gone: a visitor is not told which."""


class WrongPassword(Exception):
    """That is not this link's password."""


class TooManyTries(Exception):
    """So many passwords were tried that none is looked at for a while, not even the right one."""


class TooManyZips(Exception):
    """So many ZIPs were asked for by this link that none is made for a while."""


def create_share_link(
    *,
    owner: User,
    to: Asset | Collection,
    expires_at: datetime,
    now: datetime,
    password: str = "",
    show_prompt: bool = False,
) -> ShareLink:
    """A new way to `to`, which is the owner's. Raises InvalidDetails."""
    errors = {}
    if not now < expires_at <= now + LONGEST:
        errors["expires_at"] = gettext("A link ends after today, and within a year.")
    if password and not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        sentence = gettext("A password has %(least)s to %(most)s characters.")
        errors["password"] = sentence % {"least": LEAST_PASSWORD, "most": MOST_PASSWORD}
    if errors:
        raise InvalidDetails(errors)
    link = ShareLink(id=uuid4(), owner=owner, created_at=now, expires_at=expires_at, show_prompt=show_prompt)
    link.asset, link.collection = (to, None) if isinstance(to, Asset) else (None, to)
    link.password = make_password(password) if password else ""
    link.digest = digest_of(made_token(link))
    with transaction.atomic():
        wait_turn(owner.pk)
        if links_to(to).open_at(now).count() >= MOST_LINKS:
            sentence = gettext("At most %(most)s links lead to one thing. Revoke one first.")
            raise InvalidDetails({"expires_at": sentence % {"most": MOST_LINKS}})
        link.save(force_insert=True)
    return link


def revoke_share_link(*, owner: User, id: UUID, now: datetime) -> bool:
    """End the owner's link now; False where there is none, or it has ended."""
    return ShareLink.objects.filter(owner=owner, pk=id, revoked_at=None).update(revoked_at=now) == 1


def links_to(to: Asset | Collection) -> ShareLinkQuerySet:
    """All that were ever made to it, the newest first."""
    rows = ShareLink.objects.filter(asset=to) if isinstance(to, Asset) else ShareLink.objects.filter(collection=to)
    return rows.order_by("-created_at")


def token_of(link: ShareLink) -> str:
    """What opens the link, for its owner to copy; "" where another secret key made it, which opens it still."""
    token = made_token(link)
    return token if constant_time_compare(digest_of(token), link.digest) else ""


def made_token(link: ShareLink) -> str:
    """192 bits that nobody without our secret key can make of the id."""
    made = salted_hmac(SALT, str(link.pk), algorithm="sha256").digest()[:24]
    return base64.urlsafe_b64encode(made).decode()


def digest_of(token: str) -> str:
    """What the database keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def opened(*, token: str, now: datetime) -> ShareLink:
    """The link that `token` opens; its password is still to be asked for. Raises NoSuchLink."""
    rows = ShareLink.objects.open_at(now).filter(digest=digest_of(token)).select_related("asset", "collection")
    link = rows.filter(Q(asset=None) | Q(asset__trashed_at=None)).first()
    if link is None:
        raise NoSuchLink
    return link


def try_password(*, link: ShareLink, password: str, now: datetime) -> str:
    """A pass that lets in who knows the password. Raises WrongPassword and TooManyTries.

    Each try is counted before it is looked at, so that no number of them at once is more than allowed.
    """
    if not _count(link, "tries", most=MOST_TRIES, within=TRIES_WITHIN, now=now):
        raise TooManyTries
    if not check_password(password[: MOST_PASSWORD + 1], link.password):
        raise WrongPassword
    ShareLink.objects.filter(pk=link.pk).update(tries=0)
    return TimestampSigner(salt=SALT).sign(_known(link))


def _count(link: ShareLink, name: str, *, most: int, within: timedelta, now: datetime) -> bool:
    """One more in the field `name` since that in `<name>_from`; False where there were `most` already."""
    row, begun = ShareLink.objects.filter(pk=link.pk), f"{name}_from"
    fresh = Q(**{f"{begun}__gt": now - within})

    def more() -> int:
        return row.filter(fresh, **{f"{name}__lt": most}).update(**{name: F(name) + 1})

    # Of two that come first at the same moment one is the second.
    return bool(more() or row.filter(~fresh | Q(**{begun: None})).update(**{name: 1, begun: now}) or more())


def lets_in(*, link: ShareLink, given: str) -> bool:
    """Whether `given` is a pass of this link and its password, and not too old."""
    try:
        known = TimestampSigner(salt=SALT).unsign(given, max_age=PASS_FOR)
    except BadSignature:
        return False
    return constant_time_compare(known, _known(link))


def _known(link: ShareLink) -> str:
    return digest_of(f"{link.pk} {link.password}")


def shared_assets(*, link: ShareLink, cursor: Cursor | None = None, most: int) -> list[Asset]:
    """A page of what the link shows, the newest first."""
    rows = _reached(link).filter(beyond(cursor)) if cursor else _reached(link)
    return [_as_shown(asset, link) for asset in rows.order_by("-created_at", "-pk")[:most]]


def shared_asset(*, link: ShareLink, id: UUID) -> Asset:
    """One of what the link shows. Raises NoSuchLink."""
    asset = _reached(link).filter(pk=id).first()
    if asset is None:
        raise NoSuchLink
    return _as_shown(asset, link)


def zipped_assets(*, link: ShareLink, most: int, now: datetime) -> list[Asset]:
    """What the link shows, to be saved together. Raises TooManyZips; each is counted before it is made."""
    if not _count(link, "zips", most=MOST_ZIPS, within=ZIPS_WITHIN, now=now):
        raise TooManyZips
    return shared_assets(link=link, most=most)


def _reached(link: ShareLink) -> AssetQuerySet:
    """What it leads to now: neither what is in the trash nor what was taken out of the collection."""
    rows = Asset.objects.filter(owner_id=link.owner_id).kept()
    return rows.filter(pk=link.asset_id) if link.asset_id else rows.filter(collections=link.collection_id)


def _as_shown(asset: Asset, link: ShareLink) -> Asset:
    """The asset without what is its owner's alone; not to be saved."""
    if not link.show_prompt:
        asset.prompt = ""
    asset.notes = asset.reference_name = asset.category = ""
    asset.settings, asset.seed, asset.cost_micros = {}, None, None
    return asset
