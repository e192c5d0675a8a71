"""The studio: the composer, the feed, and what stands around them."""

import uuid
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import quotas
from accounts.models import User
from accounts.web.toasts import toasts
from gallery.models import Asset
from generation import drafts, pauses
from generation.models import Prediction
from generation.web import budget, forms, requests
from generation.web.access import is_htmx, see_other, signed_in, user_of
from generation.web.context import THEMES
from generation.web.feed import days_of, feed
from generation.web.offers import offers
from generation.web.runs import shown
from generation.web.starters import priced_starters

# How many pictures the composer offers to pick from.
PICKS = 24
A_YEAR = 365 * 24 * 3600


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
        "starters": priced_starters(now=now) if not page.sheets and before is None else (),
        # Whoever comes with settings in the address wants to see them.
        "folded": bool(page.sheets) and not set(request.GET) - {"before"} and not request.POST.get("unfold"),
    }
    return render(request, "generation/studio.html", context, status=status)


def composer_context(composer: forms.Composer, *, now: datetime) -> dict[str, Any]:
    """What `_composer.html` shows."""
    spec = composer.spec
    thrown = pauses.in_force()
    estimate = estimate_of(composer, now=now, thrown=thrown)
    choices = offers(type=spec.type, now=now, thrown=thrown)
    return {
        "composer": composer,
        "offers": choices,
        "offer": next((item for item in choices if item.spec.id == spec.id), None),
        "estimate": estimate,
        # The same for the bar above, which would count it again.
        "money": estimate.money,
    }


def estimate_of(composer: forms.Composer, *, now: datetime, thrown: pauses.Pauses | None = None) -> budget.Estimate:
    """The line above Generate for what stands in the form."""
    raw = forms.as_raw(composer.spec, composer.values)
    return budget.estimate(user=composer.user, spec=composer.spec, raw=raw, now=now, runs=composer.runs, thrown=thrown)


def posted(request: HttpRequest) -> forms.Composer:
    """The composer as it was sent. A key that is not ours is replaced."""
    spec, known = forms.spec_named(request.POST.get("model", ""), "image")
    composer = forms.Composer(
        user_of(request),
        spec,
        forms.read_values(spec, request.POST),
        quote=request.POST.get("quote", ""),
        runs=forms.read_runs(request.POST),
    )
    if not known:
        composer.errors = {"model": [gettext("There is no such model here.")]}
    if forms.is_uuid(request.POST.get("idempotency_key")):
        composer.key = request.POST["idempotency_key"]
    return composer


@signed_in
def generate(request: HttpRequest) -> HttpResponse:
    """Ask for what stands in the form; on a refusal the form comes back with everything in it."""
    if request.method != "POST":  # the address of a form that came back, typed or opened once more
        return redirect("studio")
    now = timezone.now()
    composer = posted(request)
    composer.errors = {**composer.errors, **requests.keep_uploads(composer, request.FILES, now=now)}
    if composer.errors:
        return refused(request, composer, now=now)
    try:
        asked = requests.ask(composer, now=now)
    except requests.REFUSALS as error:
        refusal = requests.explain(error)
        composer.errors, composer.proposed = refusal.errors, refusal.proposed
        composer.key = str(uuid.uuid4())
        return refused(request, composer, now=now)
    drafts.forget_draft(user=composer.user, spec=composer.spec)
    if asked.refused:
        messages.warning(request, asked.sentence)
    if not is_htmx(request):
        # The form keeps what stood in it, for the next variation.
        more = f"&runs={composer.runs}" if composer.runs > 1 else ""
        return see_other(f"/?reuse={asked.first.pk}{more}#prediction-{asked.first.number}")
    composer.key = str(uuid.uuid4())
    return accepted(request, asked.first, composer, now=now)


def keep_draft(composer: forms.Composer, *, now: datetime) -> None:
    """Remember what stands in the form."""
    drafts.keep_draft(user=composer.user, spec=composer.spec, values=composer.draft, key=composer.key, now=now)


def tucked_away(request: HttpRequest) -> bool:
    """Whether a phone shows the form folded: there are cards on the page, and it was not unfolded."""
    return bool(request.POST.get("newest_day")) and not request.POST.get("unfold")


def refused(request: HttpRequest, composer: forms.Composer, *, now: datetime) -> HttpResponse:
    """The form again, with each error beside its field; what stands in it is kept as a draft, too."""
    keep_draft(composer, now=now)
    if not is_htmx(request):
        return studio_page(request, composer, now=now, status=422)
    context = {**composer_context(composer, now=now), "folded": tucked_away(request)}
    return render(request, "generation/_composer.html", context, status=422)


def accepted(
    request: HttpRequest, prediction: Prediction, composer: forms.Composer | None, *, now: datetime
) -> HttpResponse:
    """The new card for its place in the page, with the balance and a fresh key for the form."""
    user = user_of(request)
    [card] = shown([prediction], now=now)
    [day] = days_of(user=user, dates=[timezone.localdate(prediction.created_at)], now=now)
    newest_day = request.POST.get("newest_day", "")
    context: dict[str, Any] = {
        "card": card,
        "day": day,
        "sheet": {"day": day, "cards": [card], "continued": False},
        "new_day": newest_day != day.date.isoformat(),
        "first_ever": not newest_day,
        "first_time": prediction.was_created,
        "money": budget.money_left(prediction.usage or quotas.usage(user=user, now=now)),
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
    answer.write(toasts(request))
    if not whole:
        answer["HX-Reswap"] = "none"
    # The balance and the price are in this answer where it is the form's.
    answer["HX-Trigger"] = "budgetChanged" if composer is None else "dayChanged"
    return answer


@signed_in
def compose(request: HttpRequest) -> HttpResponse:
    """The form for another model, with what that model can take over."""
    if request.method != "POST":
        return redirect("studio")
    now = timezone.now()
    before = posted(request)
    upload_errors = requests.keep_uploads(before, request.FILES, now=now)
    forms.move(before, request.POST.get("move", ""))
    keep_draft(before, now=now)
    spec, known = forms.spec_named(request.GET.get("model", ""), request.GET.get("type", before.spec.type))
    composer = forms.Composer(
        before.user,
        spec,
        forms.carried_over(before.values, old=before.spec, new=spec),
        key=before.key,
        runs=before.runs,
    )
    if spec.id != before.spec.id:
        moved = drafts.move_draft(
            user=before.user, old=before.spec, new=spec, values=composer.draft, key=before.key, now=now
        )
        if not moved:
            # An empty form brings nothing along: what was being written for the other model is there.
            composer.values = drafts.drafts_of(user=before.user).get(spec.id, {})
            composer.runs = forms.runs_of(composer.values)
    if upload_errors:
        composer.errors = {"": [sentence for sentences in upload_errors.values() for sentence in sentences]}
    if not known:
        sentence = gettext("There is no such model here; this is the default one.")
        composer.errors = {**composer.errors, "model": [sentence]}
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
    composer = forms.Composer(user_of(request), spec, forms.read_values(spec, data), runs=forms.read_runs(data))
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
    """What is left today, or with `?day=` the sum of a day, after something has changed."""
    now, user = timezone.now(), user_of(request)
    if "day" in request.GET:
        try:
            [day] = days_of(user=user, dates=[date.fromisoformat(request.GET["day"])], now=now)
        except (ValueError, OverflowError):
            return render(request, "404.html", status=404)
        return render(request, "generation/_day_sum.html", {"day": day})
    left = budget.money_left(quotas.usage(user=user, now=now))
    return render(request, "_budget_left.html", {"money": left})


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
