"""What can be done with a card: look again, cancel, keep waiting, retry."""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from accounts.web.toasts import toasts
from generation import lifecycle
from generation.models import Prediction
from generation.web import forms, requests
from generation.web.access import is_htmx, see_other, signed_in, user_of
from generation.web.runs import render_card, siblings
from generation.web.views import accepted


def own(request: HttpRequest, id: uuid.UUID) -> Prediction:
    """The signed-in creator's prediction of that id; another's does not exist."""
    return get_object_or_404(Prediction.objects.for_owner(user_of(request)), pk=id)


def meant_by(request: HttpRequest, prediction: Prediction) -> list[Prediction]:
    """The runs that a button is for: the one alone, or all that were asked for together with it."""
    return siblings(prediction) if request.POST.get("runs") == "all" else [prediction]


@require_GET
@signed_in
def card(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """One card as it is now."""
    return HttpResponse(render_card(own(request, id), request=request))


@require_POST
@signed_in
def cancel(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Cancel one run or all that were asked for together; where it is too late, say so and show how it ended."""
    prediction, now = own(request, id), timezone.now()
    meant = meant_by(request, prediction)
    late = []
    for one in meant:
        try:
            lifecycle.cancel_prediction(prediction=one, now=now)
        except lifecycle.NotCancelable:
            late.append(one.number)
    if len(late) == len(meant):
        sentence = ngettext(
            "It was too late to cancel frame %(numbers)s: it is finished.",
            "It was too late to cancel frames %(numbers)s: they are finished.",
            len(late),
        )
        messages.info(request, sentence % {"numbers": ", ".join(map(str, late))})
    prediction.refresh_from_db()
    return card_again(request, prediction)


@require_POST
@signed_in
def keep_waiting(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Do not ask again before as much time has passed once more."""
    prediction, now = own(request, id), timezone.now()
    for one in meant_by(request, prediction):
        lifecycle.keep_waiting(prediction=one, now=now)
    prediction.refresh_from_db()
    return card_again(request, prediction)


@require_POST
@signed_in
def retry(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Ask for the same again as a new frame."""
    now = timezone.now()
    key = request.POST.get("idempotency_key", "")
    try:
        again = lifecycle.retry_prediction(
            prediction=own(request, id), now=now, idempotency_key=key if forms.is_uuid(key) else None
        )
    except requests.REFUSALS as error:
        messages.error(request, requests.explain(error).sentence)
        if not is_htmx(request):
            return see_other("/")
        return HttpResponse(toasts(request), status=422)
    if not is_htmx(request):
        return see_other(f"/#prediction-{again.number}")
    return accepted(request, again, None, now=now)


def card_again(request: HttpRequest, prediction: Prediction) -> HttpResponse:
    """The card after an action, with what there is to say about it."""
    if not is_htmx(request):
        return see_other(f"/#prediction-{prediction.number}")
    answer = HttpResponse(render_card(prediction, request=request) + toasts(request))
    answer["HX-Trigger"] = "budgetChanged"
    return answer
