"""What a creator has made by the time that the pictures are taken; each function runs in a process of the product."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from accounts.tokens import create_token
from gallery.descriptions import add_category, update_asset
from gallery.models import Asset, Collection
from gallery.organising import Change, organise_assets
from gallery.sharing import create_share_link, token_of
from gallery.trash import trash_assets
from generation import catalog
from generation.lifecycle import request_prediction
from generation.models import Prediction
from generation.outgoing.endpoints import register
from generation.states import UNFINISHED
from palette.tests.screenshots.cast import ADMINISTRATOR, CREATOR, NEWCOMER, PASSWORD

BANANA: Final = "google/nano-banana"
FLUX: Final = "black-forest-labs/flux-schnell"
PATIENCE_SECONDS: Final = 1000.0
KLING: Final = "kwaivgi/kling-v2.5-turbo-pro"
FAST_FILM: Final = "bytedance/seedance-1-pro-fast"

# Words, model and shape; the newest last.
PICTURES: Final = (
    ("Lavender field under gathering clouds, wide lens", BANANA, "3:2"),
    ("A desert caravan seen from far above, long shadows", FLUX, "16:9"),
    ("Polar lights over a frozen bay, violet and green", BANANA, "3:2"),
    ("A cup of tea on wet slate, product shot, side light", BANANA, "4:5"),
    ("Pine forest in morning fog, one path leading in", FLUX, "2:3"),
    ("Night train crossing a bridge over a calm river", BANANA, "21:9"),
    ("The sea after a storm, black and white, fine grain", BANANA, "16:9"),
    ("Late window light with the shadow of a plant", FLUX, "1:1"),
    ("A blue planet with one red ring, paper backdrop", BANANA, "4:5"),
    ("Folds of silk, clay and gold, macro", FLUX, "3:2"),
    ("City skyline at dusk, windows just lit, rain", BANANA, "21:9"),
    ("Three vases on a linen table, deep shadow", BANANA, "1:1"),
    ("White dunes, high contrast, a lone figure", FLUX, "3:2"),
    ("A lighthouse island in a rose sunset", BANANA, "16:9"),
    ("Starry night above a mountain camp", BANANA, "9:16"),
    ("Rose-coloured mountains mirrored in still water", FLUX, "16:9"),
    ("A jade valley seen from the cliff, moon high", BANANA, "2:3"),
    ("Autumn forest with a cabin, gold light", BANANA, "3:2"),
    ("Cumulus towers from a plane window, evening", FLUX, "16:9"),
    ("A still lake at blue hour between folded mountains", BANANA, "16:9"),
)
FILMS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("Low sun over a calm sea, long lens, the camera drifts to the right", {"duration": 3, "aspect_ratio": "16:9"}),
    ("Polar lights above low hills, the stars hold still", {"duration": 4, "aspect_ratio": "3:4"}),
)
# What is still under way, or has not come out, when the pictures are taken. See `RULES` in cast.py.
UNEVEN: Final = (
    ("A night market in the rain, neon signs in four scripts", BANANA, "3:2"),
    ("Two boxers in the last round, seen from the corner", BANANA, "1:1"),
    ("Rope and tar, a still life on a wet deck", BANANA, "3:2"),
    ("A slow push in on a door that opens on the sea", FAST_FILM, "16:9"),
    ("A red tram climbs a hill in fog, telephoto", KLING, "16:9"),
    ("A train window at night, lights passing in long lines", KLING, "9:16"),
    ("A ferry crossing a violet bay, seen from the cliff", FLUX, "16:9"),
    ("The same ferry by night, lights on the water", FLUX, "16:9"),
)


def tell() -> None:
    """From the first account to what is still under way; prints the names that addresses need, each with what it is."""
    open_accounts()
    pictures = ask_for_pictures()
    wait_for(pictures)
    more = ask_for_more()
    wait_for(more)
    take_the_usual_time([*pictures, *more])
    organise()
    uneven = [ask(prompt, model, at=timezone.now(), aspect_ratio=shape) for prompt, model, shape in UNEVEN]
    wait_for(uneven[:2])
    time.sleep(4)  # so that the others are at the provider


def open_accounts() -> None:
    """A creator with a month behind her, a newcomer, an administrator."""
    User.objects.create_superuser(ADMINISTRATOR, f"{ADMINISTRATOR}@example.org", PASSWORD)
    User.objects.create_user(NEWCOMER, f"{NEWCOMER}@example.org", PASSWORD)
    for user in User.objects.filter(username__in=(CREATOR, NEWCOMER)):
        user.set_password(PASSWORD)
        user.daily_micros_limit, user.monthly_micros_limit = 5_000_000, 60_000_000
        user.save()
        EmailAddress.objects.create(user=user, email=user.email, primary=True, verified=True)


def ask_for_pictures() -> list[Prediction]:
    """The pictures, a quarter of an hour apart, the last ones just now."""
    begins = timezone.now() - timedelta(minutes=15 * len(PICTURES))
    return [
        ask(prompt, model, at=begins + timedelta(minutes=15 * number), aspect_ratio=shape)
        for number, (prompt, model, shape) in enumerate(PICTURES)
    ]


def ask_for_more() -> list[Prediction]:
    """What is made from those: variations with a reference, films, four runs of one prompt."""
    now = timezone.now()
    lake, vases = frame("still lake"), frame("Three vases")
    update_asset(asset=lake, changes={"reference_name": "blue-hour"}, now=now)
    update_asset(asset=vases, changes={"reference_name": "vases"}, now=now)
    moving: dict[str, Any] = {"duration": 3, "resolution": "480p", "image": str(lake.pk)}
    first = ask("A harbour at six in the morning, cranes in fog", FLUX, at=now, aspect_ratio="16:9")
    return [
        first,
        *(ask(first.prompt, FLUX, at=now, first=first, aspect_ratio="16:9") for _ in range(3)),
        *(ask(prompt, FAST_FILM, at=now, resolution="480p", **more) for prompt, more in FILMS),
        ask("The same vases on a night train", BANANA, at=now, aspect_ratio="3:2", image_input=[str(vases.pk)]),
        ask("The water begins to move, the light stays", FAST_FILM, at=now, **moving),
    ]


def take_the_usual_time(asked: Sequence[Prediction]) -> None:
    """On the sandbox, which is quicker, and on a machine that may be slower."""
    for row in Prediction.objects.filter(pk__in=[one.pk for one in asked], status="succeeded"):
        ran = catalog.get(row.model).usual_seconds * (0.8 + row.number % 5 / 10)
        Prediction.objects.filter(pk=row.pk).update(started_at=F("completed_at") - timedelta(seconds=ran))


def ask(prompt: str, model: str, *, at: datetime, first: Prediction | None = None, **more: Any) -> Prediction:
    """One generation of the creator's."""
    spec = catalog.get(model)
    parsed = catalog.parse(spec, {"prompt": prompt, **more})
    return request_prediction(user=creator(), spec=spec, parsed=parsed, now=at, first_run=first)


def organise() -> None:
    """Stars, tags, collections, a category of her own, a full trash; tokens, a webhook, a link."""
    now, owner = timezone.now(), creator()
    add_category(owner_id=owner.pk, name="Exteriors")
    arrange("lake|sea|water|harbour", add_tags=("lake", "blue hour"), collect="Night ferry", category="places")
    arrange("vases|cup|silk|window", add_tags=("still life",), collect="Title sequence", category="props")
    arrange("mountain|valley|dunes|forest|cabin", add_tags=("landscape",), category="Exteriors")
    arrange("still lake|jade|Three vases|lighthouse", favourite=True)
    trash_assets(owner=owner, ids=ids("Lavender|caravan|Pine"), now=now)
    create_token(user=owner, name="edit-bay", expires_at=now + timedelta(days=90), now=now)
    create_token(user=owner, name="nightly", expires_at=None, now=now, scopes=("read",))
    hook = register(user=owner, url="https://hooks.example.com/palette", description="Cutting room", now=now)
    ferry = Collection.objects.get(owner=owner, name="Night ferry")
    link = create_share_link(owner=owner, to=ferry, expires_at=now + timedelta(days=14), show_prompt=True, now=now)
    print(f"link {token_of(link)}")
    print(f"webhook {hook.pk}")
    print(f"picture {frame('still lake').pk}")
    print(f"film {frame('water begins').pk}")


def arrange(words: str, **change: Any) -> None:
    """The same change to all whose prompt has one of these words."""
    organise_assets(owner=creator(), ids=ids(words), change=Change(**change), now=timezone.now())


def wait_for(asked: Sequence[Prediction]) -> None:
    """Until they are over and have their thumbnails."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    unfinished = Prediction.objects.filter(pk__in=[one.pk for one in asked], status__in=UNFINISHED)
    while unfinished.exists() or Asset.objects.exclude(due_at=None).exists():
        assert time.monotonic() < ends_at, list(unfinished)
        time.sleep(0.5)


def creator() -> User:
    """She of whom all this is told."""
    return User.objects.get(username=CREATOR)


def frame(words: str) -> Asset:
    """The newest whose prompt has these words."""
    return Asset.objects.filter(owner__username=CREATOR, prompt__icontains=words).latest("created_at")


def ids(words: str) -> Sequence[Any]:
    """The assets whose prompt has one of these words."""
    rows = Asset.objects.filter(owner__username=CREATOR, prompt__iregex=words)
    return list(rows.values_list("pk", flat=True))
