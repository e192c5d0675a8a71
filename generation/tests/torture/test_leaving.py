"""F62 and F63: an account is deleted in the middle of its work, an asset while somebody looks at it or works on it."""

import pytest
import requests
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.test import Client

from accounts.models import Alert, LedgerEntry, User
from gallery.models import Asset, DiscardedObject
from generation.models import Output, Prediction
from generation.tests.torture import oracle
from generation.tests.torture.scene import Scene, ago
from generation.tests.torture.test_workers import frozen, wake

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"
THREE_HOURS = 3 * 3600


class Browser:
    """The creator's browser at the web process."""

    def __init__(self, scene: Scene) -> None:
        client = Client()
        client.force_login(scene.user)
        self.url, self.session = scene.web.url, requests.Session()
        self.session.cookies.update({name: morsel.value for name, morsel in client.cookies.items()})

    def get(self, path: str) -> requests.Response:
        """Without following."""
        return self.session.get(self.url + path, timeout=30, allow_redirects=False)

    def post(self, path: str, *, form_at: str, **fields: str) -> requests.Response:
        """What the form on a page posts."""
        self.get(form_at)
        given = fields | {"csrfmiddlewaretoken": self.session.cookies["csrftoken"]}
        return self.session.post(self.url + path, given, headers={"Referer": self.url}, timeout=30)


def empty_trash(scene: Scene) -> None:
    """The creator puts everything aside and empties the trash."""
    for asset in Asset.objects.all():
        assert requests.delete(
            f"{scene.web.url}/api/gallery/assets/{asset.pk}", headers=scene.program.headers, timeout=30
        ).ok
    assert Browser(scene).post("/gallery/trash/empty", form_at="/gallery/?trash=1").ok


class TestAnAccount:
    @pytest.mark.row("F62")
    @pytest.mark.parametrize("place", ["", "purge.before_commit", "purge.deleted", "cancel.before_commit"])
    def test_that_is_deleted_ends_its_work_in_every_state_and_goes_last(self, scene: Scene, place: str) -> None:
        scene.sandbox.add_fault({"seconds": {"run": 60}}, prompt_contains="running")
        finished = scene.ask("finished")
        worker = scene.worker()
        scene.settle()
        scene.kill(worker)
        storing, running = scene.ask("storing"), scene.ask("running")
        worker = scene.worker(lanes="submit,refresh,deliver")
        scene.wait(lambda: scene.rests(storing, "storing") and scene.rests(running, "processing"))
        scene.kill(worker)
        queued = scene.ask("queued")

        # As the web process hashes it, and not as tests do.
        User.objects.update(password=PBKDF2PasswordHasher().encode(PASSWORD, "salt" * 4))
        scene.user.refresh_from_db()
        browser = Browser(scene)
        browser.post("/settings/delete/", form_at="/settings/delete/", name=scene.user.username, password=PASSWORD)
        assert browser.get("/usage/").status_code == 302
        assert scene.program.get("/api/usage").status_code == 401
        scene.let_leases_end()
        if place:
            scene.worker_that_dies(place)
            scene.let_leases_end()
        scene.worker()
        scene.settle()
        scene.wait(lambda: not Asset.objects.exists() and not DiscardedObject.objects.exists())

        ends = [scene.status(prediction) for prediction in (finished, storing, running, queued)]
        assert ends == ["succeeded", "lost", "canceled", "canceled"]
        assert scene.sandbox.log("cancel") and not Alert.objects.filter(name="prediction_lost").exists()
        scene.note(oracle.check(scene, purged=1, scratch=1, signed_out=True))

        made, entries = len(scene.sandbox.predictions()), LedgerEntry.objects.count()
        scene.stop_workers()
        scene.lapse(THREE_HOURS)
        User.objects.update(deletion_asked_at=ago(THREE_HOURS))
        scene.accepted.clear()
        scene.worker()
        scene.wait(lambda: not User.objects.exists())
        assert not Prediction.objects.exists() and LedgerEntry.objects.count() == entries
        oracle.check(scene, foreign=made, scratch=1, signed_out=True)


class TestAnAsset:
    @pytest.mark.row("F63")
    def test_that_is_deleted_while_its_page_is_open_is_gone(self, scene: Scene) -> None:
        prediction = scene.ask()
        scene.worker()
        scene.settle()
        asset, browser = Asset.objects.get(), Browser(scene)
        assert browser.get(f"/gallery/{asset.pk}/").status_code == 200

        empty_trash(scene)
        scene.wait(lambda: not DiscardedObject.objects.exists())

        for path in (f"/gallery/{asset.pk}/", f"/assets/{asset.pk}/file", f"/assets/{asset.pk}/thumbnail"):
            assert browser.get(path).status_code == 404
        assert browser.post(f"/gallery/{asset.pk}/favourite", form_at="/gallery/", favourite="true").status_code == 404
        assert scene.told(prediction)["assets"] == []
        assert oracle.stored_keys() == set()
        scene.note(oracle.check(scene, purged=1))

    @pytest.mark.row("F63")
    @pytest.mark.parametrize("place", ["store.fetched", "store.after_put", "derive.after_put"])
    def test_that_is_deleted_while_a_worker_is_at_it_stays_gone(self, scene: Scene, place: str) -> None:
        prediction = scene.ask()
        zombie = frozen(scene, place)
        scene.let_leases_end()
        scene.worker()
        scene.settle()
        empty_trash(scene)
        scene.wait(lambda: not DiscardedObject.objects.exists())

        wake(scene, zombie)
        scene.settle()

        assert not Asset.objects.exists() and Output.objects.get().state == "stored"
        assert (scene.status(prediction), oracle.stored_keys()) == ("succeeded", set())
        scene.note(oracle.check(scene, purged=1))
