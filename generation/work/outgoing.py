"""Messages for our users' programs: one at a time to each endpoint, signed, tried for a day, and never followed on."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import uniform
from typing import Any, Final

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext
from standardwebhooks import Webhook

from accounts import mail
from accounts.moments import moment
from gallery import fetcher
from gallery.faultpoints import faultpoint
from gallery.leases import Claims, free, hand_back
from generation.models import OutgoingMessage, Prediction, WebhookEndpoint
from generation.outgoing import endpoints
from generation.presentation import tell, with_all_told
from generation.work.connections import let_go

POST_SECONDS: Final = 15.0
# After each failure of a message; the last is repeated until its day is over.
PAUSES: Final = tuple(
    timedelta(seconds=seconds) for seconds in (5, 30, 300, 1800, 2 * 3600, 5 * 3600, 8 * 3600, 8 * 3600)
)
# By so much either way, so that what failed together does not come back together.
JITTER: Final = 0.1
TRIED_FOR: Final = timedelta(days=1)
DISABLED_AFTER: Final = timedelta(days=1)
# An endpoint that fails costs its timeout each time: it is left alone for a while, twice as long after each.
FIRST_REST: Final = timedelta(seconds=5)
LONGEST_REST: Final = timedelta(minutes=5)
TRIES_KEPT: Final = 20
KEPT_FOR: Final = timedelta(days=30)
GONE: Final = 410
# An account that is closed tells nobody anything.
OPEN: Final[dict[str, Any]] = {"disabled_at": None, "user__is_active": True}


@dataclass(frozen=True)
class Answer:
    """What a try came to: the status that was answered, None when nobody did."""

    status: int | None
    milliseconds: int

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def entered(self, now: datetime) -> dict[str, Any]:
        """As the delivery log has it. Why nobody answered is nobody's business: it would tell of our network."""
        answered = {"status": self.status, "milliseconds": self.milliseconds}
        return {"at": moment(now), **(answered if self.status else {"status": None, "error": "not_reached"})}


def waiting() -> QuerySet[OutgoingMessage]:
    """What is to be sent, now or later."""
    return OutgoingMessage.objects.filter(state=OutgoingMessage.State.WAITING)


WAITING = Claims(waiting)


def take(limit: int) -> list[OutgoingMessage]:
    """Lease the oldest due message of each of `limit` endpoints at most: none that rests or is being sent to."""
    if limit < 1 or not free(waiting()).exists():
        return []
    own = waiting().filter(endpoint=OuterRef("pk"))
    oldest = free(own).order_by("due_at")
    ready = WebhookEndpoint.objects.filter(Q(open_at=None) | Q(open_at__lte=Now()), **OPEN)
    ready = ready.exclude(Exists(own.filter(lease_until__gt=Now())))
    ready = ready.annotate(message=Subquery(oldest.values("pk")[:1]), since=Subquery(oldest.values("due_at")[:1]))
    chosen = ready.filter(message__isnull=False).order_by("since").values_list("message", flat=True)[:limit]
    return WAITING.chosen(list(chosen))


def send(message: OutgoingMessage) -> None:
    """The announce lane's step for a leased row."""
    endpoint = WebhookEndpoint.objects.filter(pk=message.endpoint_id, **OPEN).first()
    if endpoint is None:
        OutgoingMessage.objects.filter(pk=message.pk, lease_token=message.lease_token).update(**ended("failed"))
        return
    if not message.body:
        _write_down(message)
    answer = _post(message, endpoint)
    faultpoint("outgoing.answered")
    now = timezone.now()
    message.tries = [*message.tries, answer.entered(now)][-TRIES_KEPT:]
    if answer.delivered:
        _delivered(message, endpoint, now)
    else:
        _failed(message, endpoint, answer, now)


def ended(state: str) -> dict[str, Any]:
    """The fields of a message that nobody attends to any more."""
    return {"state": state, "due_at": None, "lease_until": None, "lease_token": None}


def _write_down(message: OutgoingMessage) -> None:
    """The prediction as the API tells of it, once: a receiver that is told twice is told the same."""
    assert message.prediction_id is not None  # a test has its words from the start
    prediction = with_all_told(Prediction.objects.filter(pk=message.prediction_id)).get()
    message.body = endpoints.body(message.event, message.created_at, tell(prediction))
    OutgoingMessage.objects.filter(pk=message.pk, lease_token=message.lease_token).update(body=message.body)


def _post(message: OutgoingMessage, endpoint: WebhookEndpoint) -> Answer:
    let_go()
    began = time.monotonic()
    status: int | None
    try:
        status = fetcher.post_to_user(
            url=endpoint.url,
            body=message.body.encode(),
            headers=signed(message, endpoint, now=timezone.now()),
            deadline_seconds=POST_SECONDS,
            listed=settings.WEBHOOK_HOSTS,
        )
    except fetcher.FetchError:
        status = None
    return Answer(status, round((time.monotonic() - began) * 1000))


def signed(message: OutgoingMessage, endpoint: WebhookEndpoint, *, now: datetime) -> dict[str, str]:
    """Headers as Standard Webhooks has them (https://www.standardwebhooks.com); while secrets overlap, by both."""
    sent_at, name = now.astimezone(UTC), message.webhook_id
    signatures = [
        Webhook(secret).sign(name, sent_at, message.body) for secret in endpoints.secrets_in_force(endpoint, now=now)
    ]
    return {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _delivered(message: OutgoingMessage, endpoint: WebhookEndpoint, now: datetime) -> None:
    done = {"state": OutgoingMessage.State.DELIVERED, "delivered_at": now, "tries": message.tries}
    if hand_back(message, due_at=None, **done) and endpoint.failures:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failures=0, failing_since=None, open_at=None)
        # It is back: what failed meanwhile need not sit out its pause.
        waiting = OutgoingMessage.objects.filter(endpoint=endpoint, state=OutgoingMessage.State.WAITING)
        waiting.filter(lease_token=None, due_at__gt=now).update(due_at=now)


def _failed(message: OutgoingMessage, endpoint: WebhookEndpoint, answer: Answer, now: datetime) -> None:
    failures = message.failures + 1
    jitter = uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (it spreads tries, and hides nothing)  # nosec B311
    due_at = now + PAUSES[min(failures, len(PAUSES)) - 1] * jitter
    given_up = due_at > message.requested_at + TRIED_FOR
    state = OutgoingMessage.State.FAILED if given_up else OutgoingMessage.State.WAITING
    facts = {"state": state, "failures": failures, "tries": message.tries}
    if not hand_back(message, due_at=None if given_up else due_at, **facts):
        return
    rows = WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at=None)
    rest = min(FIRST_REST * 2 ** min(endpoint.failures, 10), LONGEST_REST)
    rows.update(failures=F("failures") + 1, failing_since=Coalesce("failing_since", now), open_at=now + rest)
    if answer.status == GONE:
        endpoints.disable(endpoint=endpoint, reason=WebhookEndpoint.DisabledFor.GONE, now=now)


def keep_house(*, now: datetime) -> None:
    """What the chores do for webhooks: endpoints that fail for a day, owners who do not know, old messages."""
    for endpoint in WebhookEndpoint.objects.filter(failing_since__lte=now - DISABLED_AFTER, disabled_at=None):
        endpoints.disable(endpoint=endpoint, reason=WebhookEndpoint.DisabledFor.FAILING, now=now)
    here = WebhookEndpoint.objects.filter(pk=OuterRef("endpoint"), **OPEN)
    # Queued while their endpoint was being disabled or deleted, or its account closed.
    OutgoingMessage.objects.filter(~Exists(here), state=OutgoingMessage.State.WAITING).update(**ended("failed"))
    over = Q(due_at=None) | Q(quarantined_at__isnull=False)
    OutgoingMessage.objects.filter(over, created_at__lt=now - KEPT_FOR).delete()
    tell_owners(now=now)


def tell_owners(*, now: datetime) -> None:
    """Mail those whose endpoint was disabled by us; what cannot be sent now is tried in the next round, for a day."""
    unknown = WebhookEndpoint.objects.filter(told_at=None, disabled_at__gt=now - TRIED_FOR).exclude(user__email="")
    for endpoint in unknown.select_related("user")[:20]:
        row = WebhookEndpoint.objects.filter(pk=endpoint.pk)
        if not row.filter(told_at=None, disabled_at__isnull=False).update(told_at=now):
            continue
        try:
            mail.send(
                subject=gettext("A webhook of yours is disabled"), text=_notice(endpoint), to=[endpoint.user.email]
            )
        except mail.MailUnsent:
            row.filter(told_at=now).update(told_at=None)
            return


def _notice(endpoint: WebhookEndpoint) -> str:
    reason = endpoint.get_disabled_for_display()
    return gettext(
        "Your webhook at %(address)s is disabled: %(reason)s. Nothing more is sent there.\n\n"
        "Once it works again, enable it on the page Webhooks of your settings, where you can also send again what it"
        " has missed."
    ) % {"address": endpoint.url.partition("?")[0], "reason": reason}
