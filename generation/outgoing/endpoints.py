"""What an owner does with an endpoint: register, change, rotate the secret, test, send again, delete."""

import base64
import json
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext

from accounts.models import User
from accounts.moments import moment
from gallery import fetcher
from generation.models import OutgoingMessage, WebhookEndpoint
from generation.models.outgoing import EVENTS, TEST_EVENT

MOST_ENDPOINTS = 20
# Of messages that were tested or asked for again and wait, for each endpoint.
MOST_ASKED_FOR = 100
SECRET_BYTES = 32
# The record of an endpoint that has not failed.
CLEAN: dict[str, Any] = {"failures": 0, "failing_since": None, "open_at": None}
# Receivers have so long to take the new secret over.
OVERLAP = timedelta(hours=24)


class InvalidEndpoint(ValueError):
    """There is no such endpoint; `errors` from a field to a sentence."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(errors)
        self.errors = errors


class NotSent(Exception):
    """The endpoint is disabled, or has so much waiting that nothing more is sent by hand; the sentence says which."""


def register(
    *, user: User, url: str, now: datetime, events: Collection[str] = EVENTS, description: str = ""
) -> WebhookEndpoint:
    """An endpoint with a secret of its own, which is on the row and shown once. Raises `InvalidEndpoint`."""
    if errors := _faults(url=url, events=events):
        raise InvalidEndpoint(errors)
    with transaction.atomic():
        # One at a time for each user, so that what is counted is not joined by a rival's before it is entered.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if WebhookEndpoint.objects.filter(user=user).count() >= MOST_ENDPOINTS:
            sentence = gettext("You have %(count)s webhooks. Delete one that is not needed any more.")
            raise InvalidEndpoint({"url": sentence % {"count": MOST_ENDPOINTS}})
        return WebhookEndpoint.objects.create(
            user=user,
            url=url,
            description=description,
            events=[event for event in EVENTS if event in events],
            secret=new_secret(),
            created_at=now,
        )


def change(*, endpoint: WebhookEndpoint, changes: dict[str, Any], now: datetime) -> None:
    """Set those of `url`, `events`, `description` and `enabled` that are given. Raises `InvalidEndpoint`.

    With another address, or enabled again, it has a clean record; one that is disabled gives up what waits for it.
    """
    given = {name: value for name, value in changes.items() if name != "enabled"}
    if errors := _faults(url=given.get("url", endpoint.url), events=given.get("events", endpoint.events)):
        raise InvalidEndpoint(errors)
    if "events" in given:
        given["events"] = [event for event in EVENTS if event in given["events"]]
    if given.get("url", endpoint.url) != endpoint.url:
        given |= CLEAN
    if given:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(**given)
    if changes.get("enabled") is True:
        enabled = {"disabled_at": None, "disabled_for": "", "told_at": None, **CLEAN}
        WebhookEndpoint.objects.filter(pk=endpoint.pk).exclude(disabled_at=None).update(**enabled)
    elif changes.get("enabled") is False:
        disable(endpoint=endpoint, reason=WebhookEndpoint.DisabledFor.OWNER, now=now)


def disable(*, endpoint: WebhookEndpoint, reason: WebhookEndpoint.DisabledFor, now: datetime) -> bool:
    """Send nothing more there; what waits is given up. False when it was disabled already."""
    rows = WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at=None)
    told_at = now if reason == WebhookEndpoint.DisabledFor.OWNER else None
    disabled = rows.update(disabled_at=now, disabled_for=reason, told_at=told_at) == 1
    OutgoingMessage.objects.filter(endpoint=endpoint.pk, state=OutgoingMessage.State.WAITING).update(
        state=OutgoingMessage.State.FAILED, due_at=None, lease_until=None, lease_token=None, quarantined_at=None
    )
    return disabled


def rotate(*, endpoint: WebhookEndpoint, now: datetime) -> WebhookEndpoint:
    """A new secret; for a day messages are signed by the one before, too. The row as it is then."""
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        # The one in force by then: who rotated since this row was read has been shown it.
        secret=new_secret(),
        previous_secret=F("secret"),
        previous_secret_until=now + OVERLAP,
    )
    endpoint.refresh_from_db()
    return endpoint


def send_test(*, endpoint: WebhookEndpoint, now: datetime) -> OutgoingMessage:
    """Queue a message that says it is a test. Raises `NotSent`."""
    _check_room(endpoint)
    data = {"webhook": str(endpoint.pk), "message": "This is a test. Your endpoint works if it answers 2xx."}
    return OutgoingMessage.objects.create(
        endpoint=endpoint,
        event=TEST_EVENT,
        body=body(TEST_EVENT, now, data),
        created_at=now,
        requested_at=now,
        due_at=now,
    )


def send_again(*, message: OutgoingMessage, now: datetime) -> None:
    """Send the very same message, under the same id, once more and for another day. Raises `NotSent`."""
    _check_room(message.endpoint)
    again = {"due_at": now, "requested_at": now, "failures": 0, "state": OutgoingMessage.State.WAITING}
    rows = OutgoingMessage.objects.filter(pk=message.pk)
    # One that is being sent at this moment is left to whoever sends it.
    rows.filter(lease_token=None).update(**again, quarantined_at=None, claims=0)
    WebhookEndpoint.objects.filter(pk=message.endpoint_id, disabled_at=None).update(open_at=None)


def body(event: str, at: datetime, data: dict[str, Any]) -> str:
    """A message as it is signed and sent."""
    return json.dumps({"type": event, "timestamp": moment(at), "data": data}, ensure_ascii=False)


def new_secret() -> str:
    """`whsec_` and 256 random bits in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def secrets_in_force(endpoint: WebhookEndpoint, *, now: datetime) -> list[str]:
    """What a message is signed with, the newest first."""
    until = endpoint.previous_secret_until
    overlap = until is not None and until > now and endpoint.previous_secret
    return [endpoint.secret, endpoint.previous_secret] if overlap else [endpoint.secret]


def _check_room(endpoint: WebhookEndpoint) -> None:
    if endpoint.disabled_at is not None:
        raise NotSent(gettext("This webhook is disabled. Enable it first."))
    waiting = OutgoingMessage.objects.filter(endpoint=endpoint, state=OutgoingMessage.State.WAITING)
    if waiting[:MOST_ASKED_FOR].count() >= MOST_ASKED_FOR:
        raise NotSent(gettext("Much is waiting to be sent there already. Try again when some of it has arrived."))


def _faults(*, url: str, events: Collection[str]) -> dict[str, str]:
    errors = {}
    try:
        fetcher.check_users_address(url, listed=settings.WEBHOOK_HOSTS)
    except fetcher.Blocked:
        errors["url"] = gettext("Give an https address of a public host, on port 443 and without a password in it.")
    if len(url) > (WebhookEndpoint._meta.get_field("url").max_length or 0):
        errors["url"] = gettext("This address is too long.")
    if not events or set(events) - set(EVENTS):
        errors["events"] = gettext("Choose at least one of %(names)s.") % {"names": ", ".join(EVENTS)}
    return errors
