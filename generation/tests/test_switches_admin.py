"""Pauses and caps as administrators throw, change and lift them."""

from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.models import User
from generation import pauses
from generation.models import ModelCap, Pause
from generation.tests.making import BANANA, make_user

pytestmark = pytest.mark.django_db
ADMIN = f"/{configured.ADMIN_PATH}generation"
PAUSES, CAPS = f"{ADMIN}/pause/", f"{ADMIN}/modelcap/"
REASON = "Back on Monday."


@pytest.fixture
def root(client: Client) -> User:
    """An administrator, signed in on `client`."""
    user = User.objects.create_superuser("root", "root@example.org", "correct horse")
    client.force_login(user)
    return user


@pytest.fixture
def ada() -> User:
    return make_user()


def add(client: Client, **fields: Any) -> Any:
    return client.post(f"{PAUSES}add/", {"user": "", "model": "", "reason": REASON, **fields})


def said() -> list[str]:
    """What the history says, oldest first."""
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


class TestPauses:
    def test_are_thrown_for_a_user_a_model_and_everything(self, client: Client, root: User, ada: User) -> None:
        for fields in ({"kind": "user", "user": "ada"}, {"kind": "model", "model": BANANA}, {"kind": "everything"}):
            assert add(client, **fields).status_code == 302

        assert set(Pause.objects.values_list("target", "reason", "paused_by")) == {
            (f"user:{ada.pk}", REASON, root.pk),
            (f"model:{BANANA}", REASON, root.pk),
            ("everything", REASON, root.pk),
        }
        page = client.get(PAUSES).content.decode()
        assert "User ada" in page and f"Model {BANANA}" in page and "Everything" in page

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"kind": "user"}, "Say which user."),
            ({"kind": "model"}, "Say which model."),
            ({"kind": "user", "user": "nobody"}, "There is no user of that name."),
            ({"kind": "model", "model": "acme/none"}, "Select a valid choice."),
            ({"kind": "everything", "user": "ada"}, "Leave this empty, or choose to pause one user."),
            ({"kind": "everything", "reason": ""}, "This field is required."),
            ({"kind": "everything", "reason": "x" * 301}, "at most 300 characters"),
            ({}, "This field is required."),
        ],
    )
    def test_are_refused_where_they_are_not_clear(
        self, client: Client, root: User, ada: User, fields: dict[str, str], sentence: str
    ) -> None:
        page = add(client, **fields)

        assert page.status_code == 200
        assert sentence in page.content.decode()
        assert not Pause.objects.exists()

    def test_are_thrown_once_for_a_target(self, client: Client, root: User) -> None:
        add(client, kind="everything")

        page = add(client, kind="everything", reason="Another.")

        assert "This is paused already." in page.content.decode()
        assert Pause.objects.get().reason == REASON

    def test_change_their_reason_and_nothing_else(self, client: Client, root: User, ada: User) -> None:
        add(client, kind="user", user="ada")
        target = Pause.objects.get().target
        page = client.get(f"{PAUSES}{target.replace(':', '_3A')}/change/")
        assert page.status_code == 200 and 'name="kind"' not in page.content.decode()

        client.post(f"{PAUSES}{target.replace(':', '_3A')}/change/", {"reason": "On Tuesday.", "target": "everything"})

        assert list(Pause.objects.values_list("target", "reason")) == [(target, "On Tuesday.")]
        assert f"{REASON} → On Tuesday." in said()[-1]

    def test_are_lifted_by_deleting(self, client: Client, root: User, ada: User) -> None:
        add(client, kind="user", user="ada")

        client.post(f"{PAUSES}user_3A{ada.pk}/delete/", {"post": "yes"})

        assert pauses.reason_for(user_id=ada.pk, model=BANANA) == ""

    def test_are_written_down_with_their_reason(self, client: Client, root: User, ada: User) -> None:
        add(client, kind="user", user="ada")
        client.post(f"{PAUSES}user_3A{ada.pk}/delete/", {"post": "yes"})

        thrown, lifted = said()
        assert "Added." in thrown and "ada" in thrown and REASON in thrown
        assert "Deleted." in lifted and f"user:{ada.pk}" in lifted and REASON in lifted

    def test_are_for_administrators(self, client: Client, ada: User) -> None:
        client.force_login(ada)

        assert add(client, kind="everything").status_code in {302, 403}
        assert not Pause.objects.exists()


class TestCaps:
    def test_are_set_changed_and_lifted(self, client: Client, root: User) -> None:
        client.post(f"{CAPS}add/", {"model": BANANA, "max_in_flight": "3"})
        [cap] = ModelCap.objects.all()
        assert (cap.model, cap.max_in_flight) == (BANANA, 3)
        address = f"{CAPS}{BANANA.replace('/', '_2F')}"

        client.post(f"{address}/change/", {"max_in_flight": "5"})
        assert ModelCap.objects.get().max_in_flight == 5
        client.post(f"{address}/delete/", {"post": "yes"})

        assert not ModelCap.objects.exists()
        assert "3" in said()[0] and "3 → 5" in said()[1] and "Deleted." in said()[2]

    @pytest.mark.parametrize("most", ["0", "-1", "many", ""])
    def test_begin_with_one(self, client: Client, root: User, most: str) -> None:
        page = client.post(f"{CAPS}add/", {"model": BANANA, "max_in_flight": most})

        assert page.status_code == 200
        assert "pause it" in page.content.decode()
        assert not ModelCap.objects.exists()

    def test_are_one_for_each_model(self, client: Client, root: User) -> None:
        ModelCap.objects.create(model=BANANA, max_in_flight=3)

        page = client.post(f"{CAPS}add/", {"model": BANANA, "max_in_flight": "5"})

        assert "This model has a cap already." in page.content.decode()
        assert ModelCap.objects.get().max_in_flight == 3
