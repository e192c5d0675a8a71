"""The cost auditor sees everything in the admin and changes nothing; staff without a permission see nothing."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db.models import Model
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from accounts import alerts, auditors
from accounts.models import ApiToken, Invitation, LimitIncrease, User
from accounts.tests.overseeing import ADMIN, make_administrator, make_auditor, make_staff
from accounts.tokens import create_token
from gallery.models import Asset
from gallery.tests.making import make_asset
from generation import admin_predictions  # noqa: F401  (registers)
from generation.lifecycle import apply_update
from generation.models import (
    ModelAvailability,
    OutgoingMessage,
    Prediction,
    Price,
    ProviderState,
    WebhookDelivery,
    WebhookEndpoint,
)
from generation.outgoing import endpoints
from generation.tests.making import done, make_sent, make_user

pytestmark = pytest.mark.django_db
OURS = [model for model in admin.site._registry if model._meta.app_label in auditors.APPS]
LISTS: list[type[Model]] = [*OURS, LogEntry]
names = [model._meta.model_name for model in LISTS]


@pytest.fixture
def rows() -> dict[type[Model], Any]:
    """One row of what an auditor looks at."""
    now = timezone.now()
    user = make_user()
    prediction, attempt = make_sent(user=user, now=now)
    apply_update(attempt=attempt, update=done(metrics={"image_output_count": 1}), now=now)
    token, _ = create_token(user=user, name="edit-bay", expires_at=None, now=now)
    LimitIncrease.objects.create(
        user=user, unit="usd", period="day", amount=1, reason="r", created_at=now, expires_at=now + timedelta(days=1)
    )
    alerts.note("disk_full", "A disk is full.", now=now)
    invitation = Invitation.objects.create(email="rui@example.org", digest="d", created_at=now, expires_at=now)
    delivery = WebhookDelivery.objects.create(
        webhook_id="msg_1", received_at=now, body=b"{}", address_prediction=str(prediction.pk)
    )
    endpoint = endpoints.register(user=user, url="https://hooks.example.com/", now=now)
    return {
        WebhookEndpoint: endpoint,
        OutgoingMessage: endpoints.send_test(endpoint=endpoint, now=now),
        User: user,
        Prediction: prediction,
        ApiToken: token,
        Invitation: invitation,
        WebhookDelivery: delivery,
        Asset: make_asset(owner=user),
        Price: Price.objects.all()[0],
        ProviderState: ProviderState.objects.get_or_create(provider="sandbox")[0],
        ModelAvailability: ModelAvailability.objects.create(model="a/b", unavailable_since=now),
    }


def address(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


class TestAuditor:
    @pytest.fixture(autouse=True)
    def auditor(self, client: Client) -> User:
        user = make_auditor()
        client.force_login(user)
        return user

    @pytest.mark.parametrize("model", LISTS, ids=names)
    def test_sees_every_list(self, client: Client, rows: dict[type[Model], Any], model: type[Model]) -> None:
        assert client.get(address(model, "changelist")).status_code == 200

    def test_sees_every_page(self, client: Client, rows: dict[type[Model], Any]) -> None:
        for model, row in rows.items():
            for page in ("change", "history"):
                assert (model, client.get(address(model, page, row.pk)).status_code) == (model, 200)

    def test_sees_the_whole_index(self, client: Client) -> None:
        shown = client.get(ADMIN).content.decode()

        for model in OURS:
            assert address(model, "changelist") in shown
        assert "auth/group" not in shown

    @pytest.mark.parametrize("model", LISTS, ids=names)
    def test_adds_nothing(self, client: Client, model: type[Model]) -> None:
        try:
            response = client.post(address(model, "add"), {})
        except NoReverseMatch:
            return
        assert response.status_code == 403

    @pytest.mark.parametrize("model", LISTS, ids=names)
    @pytest.mark.parametrize("action", ["delete_selected", "cancel", "apply_delivery", "send_again", "revoke"])
    def test_acts_on_nothing(
        self, client: Client, rows: dict[type[Model], Any], model: type[Model], action: str
    ) -> None:
        pk = rows[model].pk if model in rows else 1
        given = {"action": action, "_selected_action": [pk], "post": "yes", "index": 0}

        assert client.post(address(model, "changelist"), given).status_code in (403, 405)

    def test_changes_and_deletes_nothing(self, client: Client, rows: dict[type[Model], Any]) -> None:
        for model, row in rows.items():
            for page in ("change", "delete"):
                assert client.post(address(model, page, row.pk), {"post": "yes"}).status_code == 403
            row.refresh_from_db()

    def test_changes_no_limit_in_the_list(self, client: Client, rows: dict[type[Model], Any]) -> None:
        form = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": rows[User].pk, "_save": "Save"}

        response = client.post(address(User, "changelist"), form | {"form-0-daily_count_limit": 1_000})

        assert response.status_code == 403
        assert User.objects.get(pk=rows[User].pk).daily_count_limit == rows[User].daily_count_limit

    def test_sets_no_password_and_sees_no_hash(self, client: Client, rows: dict[type[Model], Any]) -> None:
        user = rows[User]

        assert client.get(f"{ADMIN}accounts/user/{user.pk}/password/").status_code == 403
        assert "argon2" not in client.get(address(User, "change", user.pk)).content.decode()

    def test_is_offered_no_action(self, client: Client, rows: dict[type[Model], Any]) -> None:
        shown = client.get(address(Prediction, "changelist")).content.decode()
        page = client.get(address(Prediction, "change", rows[Prediction].pk)).content.decode()

        assert 'value="cancel"' not in shown + page
        assert 'class="operations"' not in page

    def test_sees_no_secret(self, client: Client, rows: dict[type[Model], Any]) -> None:
        attempt = rows[Prediction].attempts.get()
        ProviderState.objects.update(webhook_secrets=["whsec_c2VjcmV0"])

        hidden = (attempt.address_token, rows[ApiToken].digest, "whsec_c2VjcmV0", rows[WebhookEndpoint].secret)

        for model, row in rows.items():
            shown = client.get(address(model, "change", row.pk)).content.decode()
            for secret in hidden:
                assert secret not in shown


class TestStaff:
    """Somebody who may enter the admin and was granted nothing."""

    @pytest.mark.parametrize("model", LISTS, ids=names)
    def test_sees_no_list(self, client: Client, model: type[Model]) -> None:
        client.force_login(make_staff())

        assert client.get(address(model, "changelist")).status_code == 403
        assert client.post(address(model, "changelist"), {"action": "cancel"}).status_code == 403


class TestEverybodyElse:
    @pytest.mark.parametrize("model", LISTS, ids=names)
    def test_is_sent_to_the_door(self, client: Client, model: type[Model]) -> None:
        assert client.get(address(model, "changelist")).status_code == 302

        client.force_login(make_user())
        assert client.get(address(model, "changelist"), follow=True).status_code == 403


class TestAdministrator:
    @pytest.mark.parametrize("model", LISTS, ids=names)
    def test_sees_every_list(self, client: Client, rows: dict[type[Model], Any], model: type[Model]) -> None:
        client.force_login(make_administrator())

        assert client.get(address(model, "changelist")).status_code == 200

    @pytest.mark.parametrize("model", LISTS, ids=names)
    def test_is_told_so_where_a_number_or_day_is_none(
        self, client: Client, rows: dict[type[Model], Any], model: type[Model]
    ) -> None:
        client.force_login(make_administrator())
        hierarchy = admin.site._registry[model].date_hierarchy or "created_at"

        for name, value in (
            ("user", "9" * 30),
            ("id__exact", "9" * 30),
            (f"{hierarchy}__year", "9" * 12),
            ("p", "9" * 30),
        ):
            answer = client.get(address(model, "changelist"), {name: value})
            assert answer.status_code in (200, 302, 400), (name, answer.status_code)


class TestGroup:
    def test_may_view_what_is_ours_and_what_was_changed(self) -> None:
        auditors.keep_auditors()

        granted = Group.objects.get(name=auditors.NAME).permissions.values_list("content_type__app_label", "codename")

        assert {codename.partition("_")[0] for _, codename in granted} == {"view"}
        assert {label for label, _ in granted} == {"accounts", "generation", "gallery", "admin"}
        assert [codename for label, codename in granted if label == "admin"] == ["view_logentry"]
        for model in OURS:
            assert f"view_{model._meta.model_name}" in {codename for _, codename in granted}

    def test_is_there_after_migrate(self) -> None:
        Group.objects.all().delete()

        call_command("migrate", verbosity=0)
        call_command("migrate", verbosity=0)

        assert Group.objects.get().permissions.filter(codename="view_ledgerentry").exists()

    def test_loses_again_what_it_must_not_have(self) -> None:
        auditors.keep_auditors()
        group = Group.objects.get(name=auditors.NAME)
        group.permissions.add(Permission.objects.get(codename="change_price"))

        auditors.keep_auditors()

        assert not group.permissions.filter(codename="change_price").exists()
