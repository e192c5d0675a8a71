"""A creator's studio in which every part of every page has something to show, for tests that look at pages."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.models import User
from accounts.tokens import create_token
from gallery import descriptions, organising, sharing
from gallery.models import Asset, Collection, Tag
from gallery.tests.making import make_asset
from gallery.trash import trash_asset
from generation.demonstration import Plan, make
from generation.lifecycle import current_attempt
from generation.models import OutgoingMessage, Output, Prediction, WebhookEndpoint
from generation.models.outgoing import TEST_EVENT
from generation.states import TERMINAL, Status
from generation.tests.making import make_prediction, make_user


@dataclass(frozen=True)
class Scene:
    """Whose it is, and the addresses of what is one thing's alone."""

    owner: User
    picture: str
    compared: str
    film: str
    trashed: str
    shelf: str
    webhook: str
    delivery: str
    shared: str
    locked: str


def set_scene(*, now: datetime) -> Scene:
    """Cards in every state, pictures, a film, shelves, links, a token, a webhook, and a month of others' spend."""
    owner = make_user(is_staff=True, is_superuser=True)
    make(plan=Plan(predictions=30, users=2), now=now)
    ask_for_all(owner, now=now)
    picture, film, trashed = with_library(owner, now=now)
    create_token(user=owner, name="ci", expires_at=None, now=now)
    webhook = WebhookEndpoint.objects.create(user=owner, url="https://hooks.example.com/", secret="s", created_at=now)
    delivery = OutgoingMessage.objects.create(
        endpoint=webhook, event=TEST_EVENT, created_at=now, requested_at=now, due_at=now
    )
    ends = now + timedelta(days=3)
    night = Collection.objects.get(owner=owner)
    shared = sharing.create_share_link(owner=owner, to=night, expires_at=ends, now=now, show_prompt=True)
    locked = sharing.create_share_link(owner=owner, to=picture, expires_at=ends, now=now, password="blue hour")
    return Scene(
        owner=owner,
        picture=f"/gallery/{picture.pk}/",
        compared=f"/gallery/compare/?a={picture.pk}&b={film.pk}",
        film=f"/gallery/{film.pk}/",
        trashed=f"/gallery/{trashed.pk}/",
        shelf=f"/gallery/shelves/tag/{Tag.objects.filter(owner=owner)[0].pk}/",
        webhook=f"/settings/webhooks/{webhook.pk}/",
        delivery=f"/settings/webhooks/{webhook.pk}/deliveries/{delivery.pk}/",
        shared=f"/s/{sharing.token_of(shared)}/",
        locked=f"/s/{sharing.token_of(locked)}/",
    )


def ask_for_all(owner: User, *, now: datetime) -> None:
    """One prediction in each state, and one that takes longer than usual; as nobody works they stay as they are."""
    for number, status in enumerate([*Status, Status.PROCESSING]):
        made = make_prediction(user=owner, now=now - timedelta(minutes=2 + number))
        late = number == len(Status)
        changes = {"status": status, "started_at": now - timedelta(seconds=300 if late else 5)}
        if status in TERMINAL:
            changes |= {"due_at": None, "completed_at": now}
        Prediction.objects.filter(pk=made.pk).update(**changes)
        if status is Status.SUCCEEDED:
            asset = shown(make_asset(owner=owner, now=now, prediction_id=made.pk, frame_number=made.number))
            Output.objects.create(
                prediction=made,
                attempt=current_attempt(made),
                index=0,
                url="https://replicate.delivery/x.jpg",
                state="stored",
                asset=asset,
                expires_at=now,
            )


def with_library(owner: User, *, now: datetime) -> tuple[Asset, Asset, Asset]:
    """A picture with everything that can be said of one, a film, and what is in the trash."""
    picture, other, trashed, film = (
        shown(make_asset(owner=owner, now=now - timedelta(hours=hours), frame_number=hours)) for hours in range(30, 34)
    )
    # To a page a film is what its row says: nobody plays it here.
    moving = {"kind": Asset.Kind.VIDEO, "content_type": "video/mp4", "duration_seconds": 5}
    Asset.objects.filter(pk=film.pk).update(**moving, poster_key=film.storage_key)
    for one in (picture, other):
        changes = {"tags": ["lake", "blue hour"], "favourite": True, "title": "Still", "notes": "For the opening."}
        descriptions.update_asset(asset=one, changes=changes, now=now)
    descriptions.update_asset(asset=picture, changes={"reference_name": "lake-blue"}, now=now)
    descriptions.add_category(owner_id=owner.pk, name="Exteriors")
    change = organising.Change(collect="Night shoot")
    organising.organise_assets(owner=owner, ids=[picture.pk, other.pk, film.pk], change=change, now=now)
    trash_asset(asset=trashed, now=now)
    return picture, film, trashed


def shown(asset: Asset) -> Asset:
    """As if its smaller pictures had been made: the original stands for them."""
    Asset.objects.filter(pk=asset.pk).update(thumbnail_key=asset.storage_key, due_at=None)
    asset.refresh_from_db()
    return asset
