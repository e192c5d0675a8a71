"""Every named place where a process may die: it dies there, or fails there, and nothing is lost or doubled."""

import ast
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from typing import Any

import pytest
import requests
from django.utils import timezone

from gallery.models import Asset, DiscardedObject
from gallery.tests import samples
from generation.models import OutgoingMessage, Prediction, StorageState, WebhookEndpoint
from generation.outgoing import endpoints
from generation.tests.processes import ROOT
from generation.tests.torture import oracle
from generation.tests.torture.scene import Scene, ago
from generation.tests.torture.surroundings import Process
from generation.tests.torture.tcpfault import TcpFault, Toxic
from generation.tests.wire import Wire, says

pytestmark = pytest.mark.django_db(transaction=True)
Act = Callable[[Scene, str], None]


def dies(scene: Scene, fault: str, **more: Any) -> None:
    """A worker reaches the place and dies there, or says that it failed there."""
    process = scene.worker(fault=fault, **more)
    fall(scene, process)
    scene.workers.remove(process)
    scene.let_leases_end()


def fall(scene: Scene, process: Process) -> None:
    """Until `process` is dead, or has raised what it was asked to raise; then it is ended."""
    scene.wait(lambda: "fault point" in process.log(), seconds=60)
    process.kill()


def plain(scene: Scene, fault: str) -> None:
    """One picture from the queue to the gallery."""
    scene.ask()
    dies(scene, fault)


def unhurried(scene: Scene, fault: str) -> None:
    """The same of a run whose end cannot be heard, by another process, before the answer to its create."""
    scene.sandbox.add_fault({"seconds": {"run": 2}})
    plain(scene, fault)


def looked_at(scene: Scene, fault: str) -> None:
    """Without webhooks the provider is asked."""
    scene.sandbox.add_fault({"seconds": {"run": 1}})
    scene.ask()
    dies(scene, fault, PUBLIC_URL="")


def doubted(scene: Scene, fault: str) -> None:
    """An answer is lost, the list is read; the hourly look at it, which would find the same, is not due."""
    StorageState.objects.create(audited_at=ago(0))
    scene.sandbox.add_fault({"answer": {"kind": "lost"}, "webhooks": {"drop": True}})
    scene.ask()
    dies(scene, fault)


def refused(scene: Scene, fault: str) -> None:
    """The provider does not take the input."""
    scene.sandbox.add_fault({"answer": {"kind": "refuse", "status": 422}}, times=None)
    scene.ask()
    dies(scene, fault)


def canceled(scene: Scene, fault: str) -> None:
    """The provider is asked to end a run."""
    scene.sandbox.add_fault({"seconds": {"run": 60}})
    prediction = scene.ask()
    sender = scene.worker()
    scene.wait(lambda: scene.status(prediction) == "processing")
    scene.kill(sender)
    scene.program.post(f"/api/predictions/{prediction.pk}/cancel")
    scene.let_leases_end()
    dies(scene, fault)


def spooled(scene: Scene, fault: str) -> None:
    """The store is away, the file is kept on this host."""
    with TcpFault(scene.environment["S3_ENDPOINT_URL"]) as store, store.spoiled(Toxic("refuse")):
        scene.ask()
        dies(scene, fault, S3_ENDPOINT_URL=store.url)


def healed(scene: Scene, fault: str) -> None:
    """The store was away and may be tried again."""
    StorageState.objects.create(faults=5, closed_until=ago(1), closed_reason="unavailable")
    plain(scene, fault)
    # Whoever died while it tried the store keeps others from trying for a minute.
    scene.lapse(120)


def asked(scene: Scene, fault: str) -> None:
    """The creator's request."""
    web = scene.another_web(FAULT=fault)
    with suppress(requests.ConnectionError):
        scene.program.post("/api/generation/image", {"prompt": "a lake zebracanary"}, web=web, key="once")
    fall(scene, web)
    scene.ask(key="once")


def told(scene: Scene, fault: str) -> None:
    """The provider's webhook."""
    web = scene.another_web(FAULT=fault)
    scene.ask()
    sender = scene.worker(PUBLIC_URL=web.url)
    fall(scene, web)
    scene.kill(sender)
    scene.let_leases_end()


def asked_to_cancel(scene: Scene, fault: str) -> None:
    """The creator's cancel, before anything was sent."""
    web = scene.another_web(FAULT=fault)
    prediction = scene.ask()
    with suppress(requests.ConnectionError):
        scene.program.post(f"/api/predictions/{prediction.pk}/cancel", web=web)
    fall(scene, web)
    assert scene.program.post(f"/api/predictions/{prediction.pk}/cancel").status_code == 202


def uploaded(scene: Scene, fault: str) -> None:
    """The creator's own picture."""
    web = scene.another_web(FAULT=fault)
    files = {"file": ("lake.png", samples.picture(), "image/png")}
    with suppress(requests.ConnectionError):
        address = f"{web.url}/api/gallery/assets"
        requests.post(address, files=files, headers=scene.program.headers, timeout=30)
    fall(scene, web)
    assert not Asset.objects.exists()


def purged(scene: Scene, fault: str) -> None:
    """A picture's time in the trash is over."""
    scene.ask()
    scene.worker()
    scene.settle()
    scene.stop_workers()
    Asset.objects.update(trashed_at=ago(31 * 86_400))
    dies(scene, fault)
    scene.worker()
    scene.wait(lambda: not Asset.objects.exists() and not DiscardedObject.objects.exists(), seconds=60)


def announced(scene: Scene, fault: str) -> None:
    """A program of the creator's is told of the end, and then told the same again."""
    with Wire([says(204)]) as wire:
        scene.environment["WEBHOOK_HOSTS"] = wire.url.removeprefix("http://")
        secret = endpoints.new_secret()
        WebhookEndpoint.objects.create(user=scene.user, url=wire.url, secret=secret, created_at=timezone.now())
        scene.ask()
        dies(scene, fault)
        messages = OutgoingMessage.objects.filter(state="waiting")
        messages.update(due_at=ago(1), lease_until=None)
        scene.worker()
        scene.wait(lambda: not messages.exists())
    assert len({(request.headers["webhook-id"], request.body) for request in wire.requests}) == 1
    assert len(wire.requests) == 2


# Each place with what leads to it, and how many objects a death there may leave behind for the collector.
PLACES: dict[str, tuple[Act, int]] = {
    "ask.before_commit": (asked, 0),
    "ask.after_commit": (asked, 0),
    "choose.claimed": (plain, 0),
    "submit.before_mark": (plain, 0),
    "create.after_response": (plain, 0),
    "update.before_commit": (unhurried, 0),
    "create.applied": (plain, 0),
    "webhook.kept": (told, 0),
    "webhook.applied": (told, 0),
    "refresh.answered": (looked_at, 0),
    "doubt.listed": (doubted, 0),
    "verdict.before_commit": (refused, 0),
    "cancel.before_commit": (asked_to_cancel, 0),
    "cancel.asked": (canceled, 0),
    "store.fetched": (plain, 0),
    "store.after_put": (plain, 1),
    "store.before_commit": (plain, 1),
    "store.entered": (plain, 0),
    "conclude.before_commit": (plain, 1),
    "spool.kept": (spooled, 0),
    "derive.after_put": (plain, 1),
    "store.probing": (healed, 0),
    "store.opened": (healed, 1),
    "upload.after_put": (uploaded, 1),
    # Somebody is told while the thumbnail of the same picture is on its way into the store.
    "outgoing.answered": (announced, 1),
    "purge.before_commit": (purged, 0),
    "purge.deleted": (purged, 0),
    # Its end is not the same as that of the others: see F04.
    "submit.after_mark": (plain, 0),
}
CANCELED: tuple[Act, ...] = (canceled, asked_to_cancel)
# A death there leaves a doubt that only the provider's list can end.
DOUBTFUL = {"submit.after_mark", "verdict.before_commit"}


def cases() -> list[Any]:
    return [pytest.param(place, deed, id=f"{place}-{deed}") for place, deed in product(PLACES, ("kill", "raise"))]


@pytest.mark.row("F56")
@pytest.mark.parametrize(("place", "deed"), cases())
def test_a_process_that_dies_there_loses_and_doubles_nothing(
    request: pytest.FixtureRequest, place: str, deed: str
) -> None:
    act, orphans = PLACES[place]
    if act is spooled:
        request.getfixturevalue("on_s3")
    scene: Scene = request.getfixturevalue("scene")

    act(scene, f"{place}:{deed}")
    scene.worker()
    if place in DOUBTFUL:
        scene.wait(lambda: scene.sandbox.log("list"))
        scene.lapse(301)
    scene.wait(lambda: not scene.unsettled(), seconds=60, meanwhile=scene.make_due)

    rows = set(Prediction.objects.values_list("status", flat=True))
    ends: dict[Act, set[str]] = {
        refused: {"failed"},
        canceled: {"canceled"},
        asked_to_cancel: {"canceled"},
        uploaded: set(),
    }
    sent = {"failed"} if place == "submit.after_mark" else {"succeeded"}
    assert rows == ends.get(act, sent)
    assert scene.creates() <= 1
    # Killed while a thumbnail is made, a worker leaves what was read of the store and what was written.
    scene.note(oracle.check(scene, orphans=orphans, scratch=2, purged=int(act is purged)))


EFFECTS = re.compile(r"provider\.(create|cancel)\(|storage\.put\(|transaction\.atomic\(\)")
# Functions with an effect and no place of their own, and why they need none.
COVERED = {
    "generation/lifecycle/hearing.py:apply_update": "update.before_commit comes before its end",
    "generation/lifecycle/hearing.py:_bind": "a death before it is one of update.before_commit",
    "generation/lifecycle/ending.py:finish_storing": "conclude.before_commit comes before its end",
    "generation/lifecycle/hearing.py:_try_again": "inside apply_update's transaction",
    "generation/work/submit.py:_mark_with": "submit.before_mark and submit.after_mark are on either side of it",
    "generation/work/submit.py:_send": "submit.after_mark comes before, create.after_response after",
    "generation/work/submit.py:_doubt": "the row is doubtful before and after it",
    "generation/work/refresh.py:_tell_doubt": "who looks at the row next says it",
    "generation/work/submit.py:_unmark": "a death before it is one after submit.after_mark",
    "generation/work/store.py:_later": "a death before it is one of store.fetched",
    "generation/work/circuit.py:note_success": "store.opened: the same for the store; the next answer says it again",
    "generation/work/circuit.py:_close": "a door that was not closed is closed by the next refusal",
    "generation/work/circuit.py:_open": "a door that was not opened is opened by the next success",
    "generation/work/circuit.py:_slow_down": "the next answer of the kind slows down",
    "generation/work/store_circuit.py:put": "store.fetched comes before, store.after_put after",
    "generation/work/unstored.py:_lose": "a death before it is one of store.fetched",
    "generation/work/again.py:store_again": "another chance for files, in one transaction",
    "gallery/descriptions.py:update_asset": "what an owner says of a picture, in one transaction",
    "gallery/descriptions.py:add_category": "one row of an owner's, in one transaction",
    "gallery/organising.py:own_collection": "one row of an owner's, in one transaction",
    "gallery/renaming.py:_named": "one row of an owner's, in one transaction; the same rename, now a merge, goes on",
    "gallery/sharing.py:create_share_link": "one row of an owner's, in one transaction",
    "gallery/organising.py:organise_assets": "what an owner says of many, in one transaction",
    "gallery/undoing.py:take_back": "the way back of many, in one transaction; the names it leaves empty stay",
    "gallery/purging.py:_forget": "purge.deleted comes before it",
    "gallery/renaming.py:_retitled": "a collection's name, in one statement",
    "gallery/renaming.py:_move_batch": "some assets in one transaction; the same rename, now a merge, moves the rest",
    "gallery/renaming.py:delete_empty": "what is left empty is deleted by the same rename once more",
    "gallery/trash.py:_move": "in the trash or out of it, in one transaction",
    "generation/webhooks/inbox.py:receive": "webhook.kept and webhook.applied are within its transaction",
    "gallery/library.py:enter_asset": "inside the transaction of store.before_commit",
}


def functions_with_effects() -> Iterator[tuple[str, str]]:
    """(file:function, its source) of every function of the product that has an effect worth dying at."""
    for app in ("generation/lifecycle", "generation/work", "generation/webhooks", "gallery"):
        for path in sorted((ROOT / app).rglob("*.py")):
            if {"tests", "migrations", "web", "api"} & set(path.parts):
                continue
            source = path.read_text()
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.FunctionDef):
                    text = ast.get_source_segment(source, node) or ""
                    if EFFECTS.search(text):
                        yield f"{path.relative_to(ROOT)}:{node.name}", text


def test_every_effect_has_a_place_to_die() -> None:
    bare = [name for name, text in functions_with_effects() if "faultpoint(" not in text and name not in COVERED]

    assert bare == []


def test_every_place_is_tried() -> None:
    named = set()
    for path in [*ROOT.glob("generation/**/*.py"), *ROOT.glob("gallery/**/*.py")]:
        if "tests" not in path.parts:
            named |= set(re.findall(r'faultpoint\(\s*"([\w.]+)"', path.read_text()))

    assert named == set(PLACES)
