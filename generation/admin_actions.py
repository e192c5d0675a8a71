"""What an administrator can do about predictions and deliveries, each way: the same call that everybody else makes."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from generation import lifecycle
from generation.models import OutgoingMessage, Prediction, WebhookDelivery
from generation.outgoing import endpoints
from generation.states import UNFINISHED
from generation.web import requests
from generation.webhooks import inbox
from generation.work import again

# Each row is a transaction or more of its own, and a line on the page.
MOST_AT_ONCE = 100
Act = Callable[[Any, HttpRequest, datetime], tuple[bool, str]]


def act_on(request: HttpRequest, rows: QuerySet[Any], act: Act) -> HttpResponse | None:
    """Do `act` for each row, say what happened, and write it down. Refuses more than `MOST_AT_ONCE`.

    Answers the row's own page where the action was chosen there, else None: the list.
    """
    chosen = list(rows[: MOST_AT_ONCE + 1])
    if len(chosen) > MOST_AT_ONCE:
        messages.error(request, f"At most {MOST_AT_ONCE} rows at a time. Choose fewer; nothing was done.")
        return None
    for row in chosen:
        done, sentence = act(row, request, timezone.now())
        messages.add_message(request, messages.SUCCESS if done else messages.WARNING, f"{_named(row)}: {sentence}")
        _write_down(request, row, sentence)
    if "from_page" in request.POST and len(chosen) == 1:
        return redirect(f"admin:generation_{chosen[0]._meta.model_name}_change", chosen[0].pk)
    return None


def _named(row: Model) -> str:
    if isinstance(row, Prediction):
        return f"Frame {row.number} of {row.user}"
    return str(row)


def _write_down(request: HttpRequest, row: Model, sentence: str) -> None:
    who = int(request.user.pk or 0)
    LogEntry.objects.log_actions(who, [row], CHANGE, change_message=sentence, single_object=True)


@admin.action(description="Cancel", permissions=["operate"])
def cancel(modeladmin: Any, request: HttpRequest, queryset: QuerySet[Prediction]) -> HttpResponse | None:
    """End what was not sent, ask the provider to end what was."""
    return act_on(request, queryset.select_related("user"), _cancel)


def _cancel(prediction: Prediction, request: HttpRequest, now: datetime) -> tuple[bool, str]:
    try:
        prediction = lifecycle.cancel_prediction(prediction=prediction, now=now)
    except lifecycle.NotCancelable:
        return False, "Too late to cancel: it has ended, or the provider has been paid and its files are being saved."
    if prediction.status in UNFINISHED:
        return True, "The provider is asked to cancel it; the provider's answer decides how it ends."
    return True, "Canceled before it was sent. Nothing was charged."


@admin.action(description="Retry, charged to its creator", permissions=["operate"])
def retry(modeladmin: Any, request: HttpRequest, queryset: QuerySet[Prediction]) -> HttpResponse | None:
    """Ask for the same again as a new prediction of the same creator's."""
    return act_on(request, queryset.select_related("user"), _retry)


def _retry(prediction: Prediction, request: HttpRequest, now: datetime) -> tuple[bool, str]:
    if under_way := prediction.retries.filter(status__in=UNFINISHED).first():
        return False, f"Frame {under_way.number} repeats it already and is under way."
    # Sent twice by two clicks it is one retry.
    key = f"retry {prediction.retries.count() + 1} of {prediction.pk}"
    try:
        repeated = lifecycle.retry_prediction(prediction=prediction, now=now, idempotency_key=key)
    except lifecycle.NotRetryable:
        return False, "Only what has failed, was canceled or was lost can be asked for again."
    except requests.REFUSALS as refusal:
        return False, f"Not repeated. {requests.explain(refusal).sentence}"
    return True, f"Asked for again as frame {repeated.number}, in {repeated.user}'s budget."


@admin.action(description="Store again, or try again what was set aside", permissions=["operate"])
def store_again(modeladmin: Any, request: HttpRequest, queryset: QuerySet[Prediction]) -> HttpResponse | None:
    """Bring files home that wait, were set aside, or were lost while they may still be there."""
    return act_on(request, queryset.select_related("user"), _store_again)


def _store_again(prediction: Prediction, request: HttpRequest, now: datetime) -> tuple[bool, str]:
    chance = again.store_again(prediction=prediction, now=now)
    sentence = chance.sentence
    return bool(chance.set_aside or chance.hurried or chance.revived), f"{sentence[0].upper()}{sentence[1:]}."


@admin.action(description="Send again", permissions=["operate"])
def send_again(modeladmin: Any, request: HttpRequest, queryset: QuerySet[OutgoingMessage]) -> HttpResponse | None:
    """Send the very same message once more, whatever came of it."""
    return act_on(request, queryset, _send_again)


def _send_again(message: OutgoingMessage, request: HttpRequest, now: datetime) -> tuple[bool, str]:
    if message.lease_until and message.lease_until > now:
        return False, "It is being sent just now."
    try:
        endpoints.send_again(message=message, now=now)
    except endpoints.NotSent as refusal:
        return False, str(refusal)
    return True, "Sent again, under the same id, and tried for a day."


@admin.action(description="Apply to its prediction", permissions=["operate"])
def apply_delivery(modeladmin: Any, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> HttpResponse | None:
    """Have what the provider said applied once more; what is known already changes nothing."""
    return act_on(request, queryset, _apply)


def _apply(delivery: WebhookDelivery, request: HttpRequest, now: datetime) -> tuple[bool, str]:
    if delivery.lease_until and delivery.lease_until > now:
        return False, "A worker is applying it just now."
    again.take_up_again(WebhookDelivery.objects.filter(pk=delivery.pk), now=now)
    inbox.deliver(delivery)
    delivery.refresh_from_db()
    told = {
        WebhookDelivery.Outcome.APPLIED: "Applied; if its news was known already, nothing has changed.",
        WebhookDelivery.Outcome.UNKNOWN: "It names no attempt that was sent from here, or says nothing readable.",
        WebhookDelivery.Outcome.MISMATCH: "It names another prediction than its attempt has. Nothing was changed.",
    }
    outcome = WebhookDelivery.Outcome(delivery.outcome)
    return outcome == WebhookDelivery.Outcome.APPLIED, told.get(outcome, "A worker has taken it up meanwhile.")
