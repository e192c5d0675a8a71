"""What must hold after every fault once things are quiet, computed from database, store, provider and pages.

O1 every accepted request is over · O2 one create per attempt at most, and none that nobody knows · O3 the books add
up, and nothing is held for what is over · O4 no reservation was admitted above a limit · O5 no end was ever left ·
O6 every asset has its object, byte for byte · O7 no delivery was applied twice · O8 nothing waits without being due ·
O9 page, API, socket and database agree · O10 no scratch file, descriptor or memory is left behind · O11 no secret, no
prompt and no traceback where it does not belong.
"""

import hashlib
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from uuid import UUID

import boto3
import requests
from django.conf import settings
from django.db.models import Count, Min
from django.test import Client
from websockets.sync.client import connect
from websockets.typing import Origin

from accounts.models import LedgerEntry, QuotaPeriod, User
from gallery import storage
from gallery.models import Asset
from generation.models import Attempt, Output, Prediction, PredictionEvent, WebhookDelivery
from generation.states import OUTSIDE, TERMINAL, UNFINISHED, Status
from generation.tests.torture.scene import Scene
from generation.tests.torture.surroundings import PROMPT, TOKEN

ENDS = {str(status) for status in TERMINAL}
CARD = re.compile(r'<article class="card" id="([\w-]+)" data-state="(\w+)"')
# What a process may hold above what it needs for one request or one file.
MOST_FILES = 200
MOST_MEMORY_BYTES = 500 * 1024**2


def check(
    scene: Scene,
    *,
    foreign: int = 0,
    orphans: int = 0,
    scratch: int = 0,
    missing: int = 0,
    purged: int = 0,
    signed_out: bool = False,
) -> str:
    """Assert O1 to O11 and say what came of it in a few words.

    `foreign` predictions at the provider are nobody's, `orphans` objects belong to no asset, `scratch` files of
    killed workers lie about, `missing` assets have no object and `purged` ones no row, because the test made it so.
    `signed_out`: the account is deleted, so that nothing may be shown to anybody.
    """
    found = {
        "O1": _over(scene),
        "O2": chain(_creates(scene, foreign), _paid_and_kept(scene)),
        "O3": _books(),
        "O4": _limits(),
        "O5": _ends_kept(),
        "O6": _objects(orphans, missing, purged),
        "O7": _once(),
        "O8": _due(scene),
        "O9": _shown_to_nobody(scene) if signed_out else _shown(scene),
        "O10": _left_behind(scene, scratch),
        "O11": _secrets(scene),
    }
    wrong = [f"{name}: {line}" for name, lines in found.items() for line in lines]
    assert not wrong, "\n".join([*wrong, scene.state(), scene.logs()])
    return summary(scene)


def summary(scene: Scene) -> str:
    """States, money and creates in one line."""
    states = Counter(Prediction.objects.values_list("status", flat=True))
    kinds = Counter(LedgerEntry.objects.values_list("kind", flat=True))
    paid = sum(
        LedgerEntry.objects.filter(kind__in=["settle", "correct"]).values_list("amount_micros", flat=True), start=0
    )
    words = [f"{count} {state}" for state, count in sorted(states.items())]
    moves = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return f"{', '.join(words) or 'no rows'}; {moves or 'no money'}; ${paid / 1e6:.3f}; {scene.creates()} creates"


def _over(scene: Scene) -> Iterator[str]:
    for key in scene.accepted:
        status = Prediction.objects.filter(pk=key).values_list("status", flat=True).first()
        if status not in ENDS:
            yield f"prediction {key} was accepted and is {status}"


def _creates(scene: Scene, foreign: int) -> Iterator[str]:
    """Every prediction at the provider is one attempt's, and every attempt has one at most."""
    made = {prediction.id for prediction in scene.sandbox.predictions()}
    bound = Counter(Attempt.objects.filter(provider_id__in=made).values_list("provider_id", flat=True))
    strange = made - set(bound)
    if len(strange) != foreign:
        yield f"{len(strange)} predictions at the provider are nobody's, not {foreign}: {sorted(strange)[:5]}"
    attempts = Attempt.objects.exclude(submitted_at=None).count()
    if len(made) - foreign > attempts:
        yield f"{len(made)} were made at the provider for {attempts} attempts that were sent"


def _paid_and_kept(scene: Scene) -> Iterator[str]:
    """What succeeded at the provider is charged once, and each of its files is ours or said to be lost."""
    ended = {item.id: item for item in scene.sandbox.predictions() if item.status == "succeeded"}
    for attempt in Attempt.objects.filter(provider_id__in=ended).prefetch_related("outputs"):
        charges = LedgerEntry.objects.filter(reference=attempt.pk, kind__in=["settle", "correct"])
        # A correction of nothing only says how it ended.
        charged = charges.exclude(kind="correct", amount_micros=0, count=0).count()
        files = len(ended[attempt.provider_id or ""].files)
        if charged != 1 and files and not ended[attempt.provider_id or ""].fault.get("output"):
            yield f"attempt {attempt.pk} succeeded at the provider and was charged {charged} times"
        if any(output.state == Output.State.WAITING for output in attempt.outputs.all()):
            yield f"attempt {attempt.pk} has files that still wait"


def _books() -> Iterator[str]:
    """Each reservation is open, settled or released; counters are what the entries add up to."""
    ends: dict[UUID, list[str]] = defaultdict(list)
    counters: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    entries = list(LedgerEntry.objects.order_by("id"))
    for entry in entries:
        ends[entry.reference].append(entry.kind)
    for reference, kinds in ends.items():
        if kinds.count("reserve") != 1 or kinds.count("settle") + kinds.count("release") > 1:
            yield f"attempt {reference} has the entries {kinds}"
        attempt = Attempt.objects.filter(pk=reference).select_related("prediction").first()
        is_open = not {"settle", "release"} & set(kinds)
        if is_open and (attempt is None or attempt.prediction.status in ENDS | {"storing"}):
            yield f"attempt {reference} is over and still holds money"
    for entry in entries:
        kinds = ends[entry.reference]
        is_open = not {"settle", "release"} & set(kinds)
        for period in entry.periods:
            if entry.kind == "reserve" and is_open:
                counters[period][0] += entry.count
                counters[period][1] += entry.amount_micros
            elif entry.kind in ("settle", "correct"):
                counters[period][2] += entry.count
                counters[period][3] += entry.amount_micros
    for row in QuotaPeriod.objects.all():
        cached = [row.reserved_count, row.reserved_micros, row.settled_count, row.settled_micros]
        if cached != counters[row.pk]:
            yield f"{row} says {cached}, the entries say {counters[row.pk]}"
    for prediction in Prediction.objects.filter(status__in=TERMINAL):
        references = list(prediction.attempts.values_list("pk", flat=True))
        booked = LedgerEntry.objects.filter(reference__in=references, kind__in=["settle", "correct"])
        total = sum(booked.values_list("amount_micros", flat=True))
        if prediction.cost_micros != total:
            yield f"prediction {prediction.number} says it cost {prediction.cost_micros}, the books say {total}"


def _limits() -> Iterator[str]:
    """The ledger played again: no reservation took what was not there."""
    held: dict[int, dict[UUID, tuple[int, int]]] = defaultdict(dict)
    settled: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    periods = {row.pk: row for row in QuotaPeriod.objects.all()}
    for entry in LedgerEntry.objects.order_by("id"):
        for key in entry.periods:
            if entry.kind == "reserve":
                counts = sum(count for count, _ in held[key].values()) + settled[key][0] + entry.count
                micros = sum(micros for _, micros in held[key].values()) + settled[key][1] + entry.amount_micros
                passed_over = entry.reason.startswith("passed over")
                yield from () if passed_over else _above(periods[key], counts, micros)
                held[key][entry.reference] = (entry.count, entry.amount_micros)
                continue
            if entry.kind in ("settle", "release"):
                held[key].pop(entry.reference, None)
            if entry.kind in ("settle", "correct"):
                settled[key][0] += entry.count
                settled[key][1] += entry.amount_micros


def _above(row: QuotaPeriod, counts: int, micros: int) -> Iterator[str]:
    found = re.fullmatch(r"(?:sandbox/)?user:(\d+)", row.scope)
    user = User.objects.filter(pk=found[1]).first() if found else None
    if user is None:
        return
    prefix = "daily" if row.period == "day" else "monthly"
    for name, value in (("count", counts), ("micros", micros)):
        limit = getattr(user, f"{prefix}_{name}_limit")
        if limit is not None and value > limit:
            yield f"{row}: {value} {name} were admitted under a limit of {limit}"


def _ends_kept() -> Iterator[str]:
    """After an end no other state follows in the history."""
    words = {str(status) for status in Status}
    ended: dict[UUID, str] = {}
    for key, name in PredictionEvent.objects.order_by("id").values_list("prediction_id", "name"):
        if name not in words and name != "requeued":
            continue
        if key in ended:
            yield f"prediction {key} was {ended[key]} and then {name}"
        if name in ENDS:
            ended[key] = name
    for prediction in Prediction.objects.filter(status__in=TERMINAL):
        if ended.get(prediction.pk) != prediction.status:
            yield f"prediction {prediction.number} is {prediction.status}, its history says {ended.get(prediction.pk)}"


def _objects(orphans: int, missing: int, purged: int) -> Iterator[str]:
    """Assets and stored objects are the same set, with the same sizes and sums."""
    keys, lost = set(), 0
    for asset in Asset.objects.all():
        keys |= {asset.storage_key} | asset.derived_keys()
        try:
            with storage.as_file(asset.storage_key) as path:
                content = path.read_bytes()
        except storage.StorageError:
            lost += 1
            continue
        if len(content) != asset.size_bytes or hashlib.sha256(content).hexdigest() != asset.sha256:
            yield f"asset {asset.pk} is not what is stored under its key"
    if lost != missing:
        yield f"{lost} assets have no object, not {missing}"
    strange = stored_keys() - keys
    if len(strange) > orphans:
        yield f"{len(strange)} objects belong to no asset, more than {orphans}: {sorted(strange)[:5]}"
    stored = Output.objects.filter(state=Output.State.STORED)
    if (count := stored.filter(asset=None).count()) != purged:
        yield f"{count} outputs are called stored and have no asset, not {purged}"


def stored_keys() -> set[str]:
    """The keys of all objects that there are, asked of the store itself."""
    named = settings.STORAGES["assets"]
    options = named["OPTIONS"]
    if "bucket_name" not in options:
        folder = Path(options["location"])
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    names = {"endpoint_url": "endpoint_url", "aws_access_key_id": "access_key", "aws_secret_access_key": "secret_key"}
    client = boto3.client("s3", region_name="us-east-1", **{ours: options[theirs] for ours, theirs in names.items()})
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=options["bucket_name"])
    return {item["Key"] for page in pages for item in page.get("Contents", [])}


def _once() -> Iterator[str]:
    twice = WebhookDelivery.objects.values("webhook_id").annotate(n=Count("pk")).filter(n__gt=1)
    yield from (f"delivery {row['webhook_id']} is kept {row['n']} times" for row in twice)
    ends = Counter(LedgerEntry.objects.filter(kind__in=["settle", "release"]).values_list("reference", flat=True))
    yield from (f"attempt {reference} ended {count} times" for reference, count in ends.items() if count > 1)


def _due(scene: Scene) -> Iterator[str]:
    yield from (f"{line} still waits" for line in scene.unsettled())
    for prediction in Prediction.objects.filter(status__in=UNFINISHED, due_at=None):
        yield f"prediction {prediction.number} is unfinished and never due"


def _shown(scene: Scene) -> Iterator[str]:
    """The API, the page after a reload, and a socket that was away say what the database says."""
    rows = list(Prediction.objects.filter(user=scene.user).order_by("-created_at", "-pk")[:25])
    for row in rows:
        answer = scene.program.get(f"/api/predictions/{row.pk}").json()
        if (answer["status"], answer["stage"]) != (OUTSIDE[Status(row.status)], row.status):
            yield f"the API calls prediction {row.number}, which is {row.status}, {answer['stage']}"
        if ("output" in answer and answer["output"] is not None) != (row.status == "succeeded"):
            yield f"the API shows an output of prediction {row.number}, which is {row.status}"
        if PROMPT not in row.prompt:
            yield f"prediction {row.number} has lost its prompt"
    truth = {f"prediction-{row.number}": str(row.status) for row in rows}
    cookie = _cookie(scene.user)
    page = _page(scene, cookie)
    for source, found in (("page", dict(CARD.findall(page))), ("socket", _told(scene, cookie))):
        for key, status in truth.items():
            if key in found and found[key] != status:
                yield f"the {source} shows {key} as {found[key]}, which is {status}"
        if truth and not set(found) & set(truth):
            yield f"the {source} shows none of {len(truth)} predictions"


def _shown_to_nobody(scene: Scene) -> Iterator[str]:
    """Neither token nor session opens anything."""
    if (status := scene.program.get("/api/predictions").status_code) != 401:
        yield f"the API answers the token of a deleted account with {status}"
    if User.objects.filter(pk=scene.user.pk).exists():
        answer = requests.get(
            f"{scene.web.url}/gallery/", headers={"Cookie": _cookie(scene.user)}, timeout=30, allow_redirects=False
        )
        if answer.status_code != 302:
            yield f"the page answers the session of a deleted account with {answer.status_code}"


def _cookie(user: User) -> str:
    client = Client()
    client.force_login(user)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def _page(scene: Scene, cookie: str) -> str:
    answer = requests.get(f"{scene.web.url}/", headers={"Cookie": cookie}, timeout=30)
    assert answer.status_code == 200, answer.status_code
    return answer.text


def _told(scene: Scene, cookie: str) -> dict[str, str]:
    """The cards that a page which has seen only the first event is told of."""
    address = f"{scene.web.url.replace('http', 'ws', 1)}/ws/studio"
    found: dict[str, str] = {}
    with connect(address, additional_headers={"Cookie": cookie}, origin=Origin(scene.web.url)) as socket:
        first = PredictionEvent.objects.filter(user_id=scene.user.pk).aggregate(first=Min("id"))["first"]
        socket.send(json.dumps({"since": first or 0}))
        while not str(frame := socket.recv(timeout=10)).startswith("{"):
            found |= dict(CARD.findall(str(frame)))
    return found


def _left_behind(scene: Scene, scratch: int) -> Iterator[str]:
    """Scratch files and spool are empty; descriptors and memory of what lives are within reason.

    A worker that lives may still make derivatives.
    """
    ends_at = time.monotonic() + 30
    for folder in (scene.folder / "tmp", scene.folder / "spool"):
        while len(left := [path for path in folder.glob("*") if path.name != "host"]) > scratch:
            if time.monotonic() > ends_at:
                yield f"{len(left)} things lie in {folder.name}, more than {scratch}: {left[:3]}"
                break
            time.sleep(0.1)
    for process in scene.processes:
        if process.state() in "RSD":
            if (count := process.open_files()) > MOST_FILES:
                yield f"{process.name} holds {count} descriptors"
            if (size := process.memory_bytes()) > MOST_MEMORY_BYTES:
                yield f"{process.name} holds {size // 1024**2} MiB"


def _secrets(scene: Scene) -> Iterator[str]:
    """Neither keys nor prompts nor signed addresses in what the processes say."""
    canaries = {
        "the provider's token": TOKEN,
        "the secret key": settings.SECRET_KEY,
        "a creator's token": scene.program.token,
        "the webhook secret": scene.sandbox.secret,
        "a prompt": PROMPT,
        "a signed address": "X-Amz-Signature=",
    }
    for process in scene.processes:
        said = process.log()
        for what, canary in canaries.items():
            if canary in said:
                yield f"the log of {process.name} holds {what}"
    for attempt in Attempt.objects.exclude(answer=None):
        if TOKEN in json.dumps(attempt.answer):
            yield f"attempt {attempt.pk} keeps the provider's token"
