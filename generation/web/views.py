"""The studio: the composer, the feed, and what can be done with a card."""

import uuid
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import quotas
from accounts.models import User
from gallery.models import Asset
from generation import lifecycle
from generation.models import Prediction
from generation.web import budget, forms, requests
from generation.web.cards import cards_for, render_card
from generation.web.context import THEMES
from generation.web.feed import days_of, feed
from generation.web.offers import offers
from generation.web.starters import STARTERS

View = Callable[..., HttpResponse]
# How many pictures the composer offers to pick from.
PICKS = 24
A_YEAR = 365 * 24 * 3600


def signed_in(view: View) -> View:
    """Send strangers to the sign-in page, as a whole page also where a fragment was asked for."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if not is_htmx(request):
            return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")
        answer = HttpResponse(status=204)
        answer["HX-Redirect"] = reverse(settings.LOGIN_URL)
        return answer

    return guarded


def is_htmx(request: HttpRequest) -> bool:
    """Whether a fragment is asked for; going back to a page that fell out of the cache asks for all of it."""
    return bool(request.htmx) and not request.htmx.history_restore_request  # type: ignore[attr-defined]


def user_of(request: HttpRequest) -> User:
    """The creator who is signed in."""
    return cast(User, request.user)


@require_GET
@signed_in
def studio(request: HttpRequest) -> HttpResponse:
    """The composer as the address asks for it, and the newest page of the feed or an older one."""
    try:
        composer = forms.prefilled(user_of(request), request.GET)
    except Prediction.DoesNotExist:
        return render(request, "404.html", status=404)
    return studio_page(request, composer, now=timezone.now())


def studio_page(request: HttpRequest, composer: forms.Composer, *, now: datetime, status: int = 200) -> HttpResponse:
    """The whole page around `composer`."""
    user = user_of(request)
    before = None
    if forms.is_uuid(request.GET.get("before")):
        before = get_object_or_404(Prediction.objects.for_owner(user), pk=request.GET["before"])
    page = feed(user=user, now=now, before=before)
    context = {
        **composer_context(composer, now=now),
        "feed": page,
        "before": before,
        "starters": STARTERS,
        # Whoever comes with settings in the address wants to see them.
        "folded": bool(page.sheets) and not set(request.GET) - {"before"} and not request.POST.get("unfold"),
    }
    return render(request, "generation/studio.html", context, status=status)


def composer_context(composer: forms.Composer, *, now: datetime) -> dict[str, Any]:
    """What `_composer.html` shows."""
    spec = composer.spec
    choices = offers(type=spec.type, now=now)
    return {
        "composer": composer,
        "offers": choices,
        "offer": next((item for item in choices if item.spec.id == spec.id), None),
        "estimate": estimate_of(composer, now=now),
    }


def estimate_of(composer: forms.Composer, *, now: datetime) -> budget.Estimate:
    """The line above Generate for what stands in the form."""
    raw = forms.as_raw(composer.spec, composer.values)
    return budget.estimate(user=composer.user, spec=composer.spec, raw=raw, now=now)


def posted(request: HttpRequest) -> forms.Composer:
    """The composer as it was sent. A key that is not ours is replaced."""
    spec, known = forms.spec_named(request.POST.get("model", ""), "image")
    composer = forms.Composer(user_of(request), spec, forms.read_values(spec, request.POST))
    if not known:
        composer.errors = {"model": ["There is no such model here."]}
    if forms.is_uuid(request.POST.get("idempotency_key")):
        composer.key = request.POST["idempotency_key"]
    return composer


@require_POST
@signed_in
def generate(request: HttpRequest) -> HttpResponse:
    """Ask for what stands in the form; on a refusal the form comes back with everything in it."""
    now = timezone.now()
    composer = posted(request)
    composer.errors = {**composer.errors, **requests.keep_uploads(composer, request.FILES, now=now)}
    if composer.errors:
        return refused(request, composer, now=now)
    try:
        prediction = requests.ask(composer, now=now)
    except requests.REFUSALS as error:
        refusal = requests.explain(error)
        composer.errors, composer.proposed = refusal.errors, refusal.proposed
        composer.key = str(uuid.uuid4())
        return refused(request, composer, now=now)
    if not is_htmx(request):
        query = "" if composer.spec.id == settings.DEFAULT_IMAGE_MODEL else f"?model={composer.spec.id}"
        return see_other(f"/{query}#prediction-{prediction.number}")
    composer.key = str(uuid.uuid4())
    return accepted(request, prediction, composer, now=now)


def tucked_away(request: HttpRequest) -> bool:
    """Whether a phone shows the form folded: there are cards on the page, and it was not unfolded."""
    return bool(request.POST.get("newest_day")) and not request.POST.get("unfold")


def refused(request: HttpRequest, composer: forms.Composer, *, now: datetime) -> HttpResponse:
    """The form again, with each error beside its field."""
    if not is_htmx(request):
        return studio_page(request, composer, now=now, status=422)
    context = {**composer_context(composer, now=now), "folded": tucked_away(request)}
    return render(request, "generation/_composer.html", context, status=422)


def accepted(
    request: HttpRequest, prediction: Prediction, composer: forms.Composer | None, *, now: datetime
) -> HttpResponse:
    """The new card for its place in the page, with the balance and a fresh key for the form."""
    user = user_of(request)
    [card] = cards_for([prediction], now=now)
    [day] = days_of(user=user, dates=[timezone.localdate(prediction.created_at)], now=now)
    shown = request.POST.get("newest_day", "")
    context: dict[str, Any] = {
        "card": card,
        "day": day,
        "sheet": {"day": day, "cards": [card], "continued": False},
        "new_day": shown != day.date.isoformat(),
        "first_ever": not shown,
        "first_time": prediction.was_created,
        "money": budget.money_left(quotas.usage(user=user, now=now)),
    }
    if composer is not None:
        context |= {"key": composer.key, "estimate": estimate_of(composer, now=now)}
    # Files that were sent along are in the gallery now: the form names them and does not send them twice.
    whole = composer is not None and bool(request.FILES)
    if whole and composer is not None:
        context |= {**composer_context(composer, now=now), "folded": tucked_away(request)}
    else:
        context["composer"] = None
    answer = render(request, "generation/_generated.html", context)
    if not whole:
        answer["HX-Reswap"] = "none"
    if composer is None:
        answer["HX-Trigger"] = "budgetChanged"
    return answer


@require_POST
@signed_in
def compose(request: HttpRequest) -> HttpResponse:
    """The form for another model, with what that model can take over."""
    now = timezone.now()
    before = posted(request)
    upload_errors = requests.keep_uploads(before, request.FILES, now=now)
    spec, known = forms.spec_named(request.GET.get("model", ""), request.GET.get("type", before.spec.type))
    composer = forms.Composer(
        before.user, spec, forms.carried_over(before.values, old=before.spec, new=spec), key=before.key
    )
    if upload_errors:
        composer.errors = {"": [sentence for sentences in upload_errors.values() for sentence in sentences]}
    if not known:
        composer.errors = {**composer.errors, "model": ["There is no such model here; this is the default one."]}
    if not is_htmx(request):
        return studio_page(request, composer, now=now)
    context = {**composer_context(composer, now=now), "folded": tucked_away(request)}
    return render(request, "generation/_composer.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def estimate(request: HttpRequest) -> HttpResponse:
    """The price of what stands in the form, and what is left; nothing is created."""
    data = request.POST if request.method == "POST" else request.GET
    spec, _ = forms.spec_named(data.get("model", ""), "image")
    composer = forms.Composer(user_of(request), spec, forms.read_values(spec, data))
    context = {"estimate": estimate_of(composer, now=timezone.now())}
    return render(request, "generation/_estimate.html", context)


@require_GET
@signed_in
def pick(request: HttpRequest) -> HttpResponse:
    """The newest pictures of the gallery, to be ticked in the form."""
    spec, _ = forms.spec_named(request.GET.get("model", ""), "image")
    item = spec.field(request.GET.get("field", ""))
    if item is None or item.kind not in forms.FILE_KINDS:
        return render(request, "404.html", status=404)
    newest = (
        Asset.objects.for_owner(user_of(request)).kept().filter(kind=Asset.Kind.IMAGE).order_by("-created_at", "-pk")
    )
    context = {"assets": newest[:PICKS], "name": item.name, "type": "checkbox" if item.kind == "files" else "radio"}
    return render(request, "generation/_pick.html", context)


@require_GET
@signed_in
def older(request: HttpRequest) -> HttpResponse:
    """The page of the feed that follows a prediction."""
    user = user_of(request)
    if not forms.is_uuid(request.GET.get("before")):
        return redirect("studio")
    before = get_object_or_404(Prediction.objects.for_owner(user), pk=request.GET["before"])
    return render(request, "generation/_feed_page.html", {"feed": feed(user=user, now=timezone.now(), before=before)})


@require_GET
@signed_in
def money(request: HttpRequest) -> HttpResponse:
    """What is left today, and the sum of the newest day, after something has ended."""
    now, user = timezone.now(), user_of(request)
    html = render_to_string("_budget_left.html", {"money": budget.money_left(quotas.usage(user=user, now=now))})
    for day in days_of(user=user, dates=[timezone.localdate(now)], now=now):
        if day.frames:
            html += render_to_string("generation/_day_sum.html", {"day": day, "oob": True})
    return HttpResponse(html)


def own(request: HttpRequest, id: uuid.UUID) -> Prediction:
    """The signed-in creator's prediction of that id; another's does not exist."""
    return get_object_or_404(Prediction.objects.for_owner(user_of(request)), pk=id)


@require_GET
@signed_in
def card(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """One card as it is now."""
    return HttpResponse(render_card(own(request, id), request=request))


@require_POST
@signed_in
def cancel(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Cancel; where it is too late, say so and show how it ended."""
    prediction = own(request, id)
    try:
        prediction = lifecycle.cancel_prediction(prediction=prediction, now=timezone.now())
    except lifecycle.NotCancelable:
        messages.info(request, f"It was too late to cancel frame {prediction.number}: it is finished.")
        prediction.refresh_from_db()
    return card_again(request, prediction)


@require_POST
@signed_in
def keep_waiting(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """Do not ask again before as much time has passed once more."""
    prediction = own(request, id)
    lifecycle.keep_waiting(prediction=prediction, now=timezone.now())
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


def toasts(request: HttpRequest) -> str:
    """Messages that are waiting, for the corner of the page they are shown in."""
    waiting = messages.get_messages(request)
    return render_to_string("_toasts.html", {"messages": waiting, "oob": True}) if len(waiting) else ""


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember the darkroom or the light table, in a cookie and for the account."""
    chosen = request.POST.get("theme", "")
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    answer = see_other(target if safe else "/")
    if chosen in THEMES:
        answer.set_cookie("theme", chosen, max_age=A_YEAR, samesite="Lax", secure=settings.PRODUCTION)
        if request.user.is_authenticated:
            User.objects.filter(pk=request.user.pk).update(theme=chosen)
    return answer


def see_other(address: str) -> HttpResponse:
    """Send a browser on after a POST, so that a reload repeats nothing."""
    return HttpResponseRedirect(address, status=303)
