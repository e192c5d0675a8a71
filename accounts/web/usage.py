"""The usage page: limits and one's own, spend, the ledger and its CSV."""

import csv
from datetime import datetime

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_http_methods, require_safe

from accounts import quotas, reports, storage_room
from accounts.limits import increases_in_force, user_limits
from accounts.models import LimitIncrease, User
from accounts.money import amount, rounded
from accounts.own_limits import set_own_limits
from accounts.periods import a_period, zone
from accounts.reports import Sum
from accounts.web import charts, own_limits
from accounts.web.ledger import COLUMNS, FILTERS, cells, note, read_choice, safe_cells, signed, word
from accounts.web.own_limits import OwnLimitsForm
from accounts.web.profile import user_of

PAGE_SIZE = 25
# How a run ended, after its number.
ENDED = {
    "failed": gettext_noop("failed"),
    "canceled": gettext_noop("canceled"),
    "lost": gettext_noop("made, and lost before the files were saved"),
    "aborted": gettext_noop("not started in time"),
}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def usage_page(request: HttpRequest) -> HttpResponse:
    """Limits, charts and one page of the ledger; or keep the limits that a creator sets for themselves."""
    user, now = user_of(request), timezone.now()
    if request.method != "POST":
        return page(request, user, now=now)
    form = OwnLimitsForm(request.POST, limits=user_limits(user.pk, now=now))
    if not form.is_valid():
        return page(request, user, form=form, now=now, status=422)
    set_own_limits(user=user, limits=form.limits)
    messages.success(request, gettext("Your own limits are saved."))
    return redirect(f"{reverse('usage')}#own-limits")


def page(
    request: HttpRequest, user: User, *, now: datetime, form: OwnLimitsForm | None = None, status: int = 200
) -> HttpResponse:
    """The whole page, with what the form has to say."""
    usage, limits = quotas.usage(user=user, now=now), user_limits(user.pk, now=now)
    month, choice = reports.this_month(user=user, now=now), read_choice(request.GET)
    entries = list(choice.entries(user)[: PAGE_SIZE + 1])
    today = now.astimezone(zone()).date()
    form = form or OwnLimitsForm(limits=limits)
    context = {
        "zone": settings.TIME_ZONE,
        "today": today,
        "usage": usage,
        "limits": charts.limits(usage, limits),
        "storage": charts.storage(storage_room.room_of(user.pk)),
        "increases": [(increase, added(increase)) for increase in increases_in_force(user, now=now)],
        "own_limits": own_limits.rows(form, limits=limits, usage=usage),
        "chart": charts.spend_chart(month.days, today=today, limit=usage.day.usd.limit),
        "month": month,
        "models": [(found, charts.share(found.micros, month.models[0].micros)) for found in month.models],
        "ends": [ended(found) for found in month.ends],
        "choice": choice,
        "entries": [(entry, word(entry), note(entry), signed(entry)) for entry in entries[:PAGE_SIZE]],
        "filters": [(key, gettext(name)) for key, (name, _) in FILTERS.items()],
        "all_models": reports.ledger(user=user).order_by("model").values_list("model", flat=True).distinct(),
        "older": entries[PAGE_SIZE - 1].pk if len(entries) > PAGE_SIZE else None,
    }
    return render(request, "accounts/usage.html", context, status=status)


@login_required
@require_safe
def ledger_csv(request: HttpRequest) -> HttpResponse:
    """Every entry that the filters leave, times in the site's zone; a range that cannot be read goes to the page."""
    choice = read_choice(request.GET)
    if choice.error:
        return redirect(f"{reverse('usage')}?{request.GET.urlencode()}#ledger-h")
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="ledger.csv"'
    response["Cache-Control"] = "no-store"
    rows = csv.writer(response)
    rows.writerow(COLUMNS)
    for entry in choice.entries(user_of(request)).iterator():
        rows.writerow(safe_cells(cells(entry)))
    return response


def added(increase: LimitIncrease) -> str:
    """What an administrator allows beyond the limit, for as long as it lasts."""
    until = increase.expires_at.astimezone(zone())
    said = {"amount": amount(increase.unit, increase.amount), "a_period": a_period(increase.period)}
    moment = date_format(until, "j F Y, H:i")
    return gettext("%(amount)s more %(a_period)s until %(moment)s") % (said | {"moment": moment})


def ended(found: Sum) -> str:
    """How many ended like this, and what they cost: "3 failed, not charged"."""
    said = {"ended": f"{found.ended:,}", "how": gettext(ENDED.get(found.name, found.name))}
    if not found.count and not found.micros:
        return gettext("%(ended)s %(how)s, not charged") % said
    said |= {"charged": f"{found.count:,}", "price": rounded(found.micros)}
    if found.count == found.ended:
        return gettext("%(ended)s %(how)s, charged %(price)s") % said
    return gettext("%(ended)s %(how)s, %(charged)s of them charged %(price)s") % said
