"""The usage page and the ledger as CSV."""

import csv
import re
from collections.abc import Iterable

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts import quotas, reports
from accounts.models import LedgerEntry
from accounts.money import dollars, usd
from accounts.periods import zone
from accounts.web import charts
from accounts.web.profile import user_of

Kind = LedgerEntry.Kind
PAGE_SIZE = 25
FILTERS: dict[str, tuple[str, list[str]]] = {
    "all": ("All", list(Kind.values)),
    "charges": ("Charges", [Kind.SETTLE, Kind.CORRECT]),
    "holds": ("Holds", [Kind.RESERVE]),
    "released": ("Released", [Kind.RELEASE]),
}
WORDS = {Kind.RESERVE: "Hold", Kind.SETTLE: "Charge", Kind.RELEASE: "Hold released", Kind.CORRECT: "Correction"}
COLUMNS = ["when", "entry", "model", "provider", "amount_usd", "count", "estimated", "reason", "reference"]


@login_required
@require_safe
def usage_page(request: HttpRequest) -> HttpResponse:
    """Limits, charts and one page of the ledger."""
    user, now = user_of(request), timezone.now()
    usage = quotas.usage(user=user, now=now)
    days = reports.spend_by_day(user=user, now=now)
    models = reports.spend_by_model(user=user, now=now)
    entries = list(filtered(request)[: PAGE_SIZE + 1])
    older = entries[PAGE_SIZE - 1].pk if len(entries) > PAGE_SIZE else None
    today = now.astimezone(zone()).date()
    context = {
        "zone": settings.TIME_ZONE,
        "today": today,
        "usage": usage,
        "limits": charts.limits(usage),
        "chart": charts.spend_chart(days, today=today, limit=usage.day.usd.limit),
        "models": [(spend, charts.share(spend.micros, models[0].micros)) for spend in models],
        "entries": [(entry, word(entry), signed(entry)) for entry in entries[:PAGE_SIZE]],
        "filters": [(key, name) for key, (name, _) in FILTERS.items()],
        "chosen": chosen(request),
        "model": request.GET.get("model", ""),
        "all_models": reports.ledger(user=user).order_by("model").values_list("model", flat=True).distinct(),
        "older": older,
        "is_first": "before" not in request.GET,
    }
    return render(request, "accounts/usage.html", context)


@login_required
@require_safe
def ledger_csv(request: HttpRequest) -> HttpResponse:
    """Every entry that the filters leave, times in the site's zone."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="ledger.csv"'
    response["Cache-Control"] = "no-store"
    rows = csv.writer(response)
    rows.writerow(COLUMNS)
    for entry in filtered(request).iterator():
        rows.writerow(safe_cells(cells(entry)))
    return response


def filtered(request: HttpRequest) -> QuerySet[LedgerEntry]:
    """The user's entries by the query string: kind of entry, model, and older than the entry `before`."""
    entries = reports.ledger(user=user_of(request)).filter(kind__in=FILTERS[chosen(request)][1])
    if model := request.GET.get("model", ""):
        entries = entries.filter(model=model[:128].replace("\0", ""))
    before = request.GET.get("before", "")
    return entries.filter(pk__lt=int(before)) if re.fullmatch(r"[0-9]{1,18}", before) else entries


def chosen(request: HttpRequest) -> str:
    """The filter's key; what is not one means all."""
    key = request.GET.get("entry", "all")
    return key if key in FILTERS else "all"


def word(entry: LedgerEntry) -> str:
    """What kind of entry it is, for people."""
    return WORDS[Kind(entry.kind)] + (", estimated" if entry.estimated else "")


def signed(entry: LedgerEntry) -> str:
    """The amount as it changes what is left, to a tenth of a cent: a release gives back, the others take."""
    amount = entry.amount_micros if entry.kind == Kind.RELEASE else -entry.amount_micros
    return f"{'+' if amount > 0 else ''}{dollars(amount, places=3)}"


def cells(entry: LedgerEntry) -> list[str]:
    """One row, in the order of `COLUMNS`."""
    return [
        entry.created_at.astimezone(zone()).isoformat(timespec="seconds"),
        word(entry),
        entry.model,
        entry.provider,
        usd(entry.amount_micros),
        str(entry.count),
        "yes" if entry.estimated else "no",
        entry.reason,
        str(entry.reference),
    ]


def safe_cells(values: Iterable[str]) -> list[str]:
    """A spreadsheet runs a cell that begins like a formula; a quote in front makes it text. Numbers stay numbers."""
    return [
        f"'{value}"
        if value[:1] in {"=", "+", "-", "@", "\t", "\r"} and not re.fullmatch(r"-?[0-9.]+", value)
        else value
        for value in values
    ]
