"""The Spend page of the admin: what the site spends, on whom and what, how runs end, and what goes on just now.

It reads the daily sums, so that it costs the same however long the ledger is. Its address is the model's in the admin,
which gives it its permission (`accounts.view_dailyspend`), its place in the list of pages and its breadcrumbs.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator
from datetime import date, datetime
from typing import Any, Final

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.db.models import Q
from django.http import HttpRequest, HttpResponseNotAllowed, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from accounts import spend_charts
from accounts.admin_base import ReadOnly
from accounts.models import DailySpend
from accounts.money import usd
from accounts.spend import Line, Spend, spend, standing
from accounts.spend_choice import ENDS, Choice, month, month_before, read_choice, year
from accounts.templatetags.studio import short_model
from accounts.web.charts import HOT, share
from accounts.web.ledger import safe_cells
from generation.oversight import overview

COLUMNS: Final = ("day", "user", "model", "provider", "end", "ended", "charged", "spent_usd", "estimated_usd")
PAGE_ROWS: Final = 2000
TURNED_AWAY: Final = {
    "unsigned": "unsigned",
    "out_of_time": "too old",
    "too_large": "too large",
    "no_secret": "before a secret was known",
}


@admin.register(DailySpend)
class SpendAdmin(ReadOnly, admin.ModelAdmin):
    """A page in place of a list, and its sums as CSV; no row has a page of its own."""

    def get_urls(self) -> list[Any]:
        """The page and the CSV."""
        pages = {"changelist": ("", self.changelist_view), "csv": ("csv/", self.csv_view)}
        return [
            path(address, self.admin_site.admin_view(view), name=f"accounts_dailyspend_{name}")
            for name, (address, view) in pages.items()
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The page; whatever its address asks for, it answers."""
        if refused := self._refused(request):
            return refused
        now = timezone.now()
        choice, wrong = read_choice(request.GET, provider=settings.PROVIDER, now=now)
        context = {
            **self.admin_site.each_context(request),
            **figures(choice, now=now),
            "opts": self.opts,
            "title": "Spend",
            "wrong": wrong,
            "may_see_predictions": request.user.has_perm("generation.view_prediction"),
        }
        if not request.user.has_perm("accounts.view_user"):
            context["users"] = [row | {"account": ""} for row in context["users"]]
        return TemplateResponse(request, "admin/accounts/dailyspend/spend.html", context)

    def csv_view(self, request: HttpRequest) -> HttpResponseBase:
        """The daily sums that the filters leave, sent as they are read."""
        if refused := self._refused(request):
            return refused
        choice, _ = read_choice(request.GET, provider=settings.PROVIDER, now=timezone.now())
        # Under ASGI a plain iterator would be read to its end before the first byte is sent.
        reading = _read_async if isinstance(request, ASGIRequest) else _read
        response = StreamingHttpResponse(reading(choice), content_type="text/csv; charset=utf-8")
        days = f"{choice.first:%Y-%m}" if choice.is_month else f"{choice.first}-to-{choice.last}"
        response["Content-Disposition"] = f'attachment; filename="spend-{days}.csv"'
        response["Cache-Control"] = "no-store"
        return response

    def _refused(self, request: HttpRequest) -> HttpResponseBase | None:
        """405 for what is not read. Raises `PermissionDenied`."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return None if request.method in ("GET", "HEAD") else HttpResponseNotAllowed(["GET", "HEAD"])


def figures(choice: Choice, *, now: datetime) -> dict[str, Any]:
    """What the page shows of a choice."""
    today = timezone.localdate(now)
    found, site, under_way = spend(choice, now=now), standing(now=now), overview(now=now)
    against_limits = not choice.is_narrow and choice.is_month and choice.first <= today <= choice.last
    over = site.projected - (site.month.limit or 0)
    return {
        "now": timezone.localtime(now),
        "zone": settings.TIME_ZONE,
        "today": today,
        "choice": choice,
        "address": choice.address(),
        "ranges": list(_ranges(choice, today)),
        "chips": list(_chips(choice, found)),
        "ends": ENDS,
        "days_named": _days_named(choice),
        "spend": found,
        "standing": site,
        "over_budget": over,
        "under_budget": -over,
        "whole": spend_charts.to_the_end(found, choice, site, today=today),
        "drawing": spend_charts.by_day(found, today=today),
        "by_day": list(_by_day(choice, found)),
        "by_end": [
            (end, total, share(total.ended, found.total.ended or None), choice.address(end=end))
            for end, total in found.ends
        ],
        "users": [_user_row(line, found, choice, against_limits) for line in found.users],
        "models": [_model_row(line, found, choice) for line in found.models],
        "against_limits": against_limits,
        "overview": under_way,
        "rejected": [(TURNED_AWAY.get(word, word), count) for word, count in under_way.webhooks.rejected.items()],
        "most_in_flight": settings.MAX_IN_FLIGHT,
    }


def _ranges(choice: Choice, today: date) -> Iterator[tuple[str, str, bool]]:
    """Name, address and whether it is the one that shows."""
    ranges = {
        "Today": {"first": today, "last": today},
        f"{today:%B}": month(today),
        f"{month_before(today)['first']:%B}": month_before(today),
        f"{today.year}": year(today),
    }
    for name, days in ranges.items():
        yield name, choice.address(**days), (choice.first, choice.last) == (days["first"], days["last"])


def _chips(choice: Choice, found: Spend) -> Iterator[tuple[str, str]]:
    """Each filter with the address that takes it off."""
    if choice.user is not None:
        name = found.users[0].name if found.users else f"no. {choice.user}"
        yield f"user {name}", choice.address(user=None)
    if choice.model:
        yield choice.model, choice.address(model="")
    if choice.end:
        yield choice.end, choice.address(end="")


def _days_named(choice: Choice) -> str:
    if choice.is_month:
        return f"{choice.first:%B %Y}"
    if {"first": choice.first, "last": choice.last} == year(choice.first):
        return str(choice.first.year)
    days = [f"{day.day} {day:%B %Y}" for day in (choice.first, choice.last)]
    return days[0] if choice.first == choice.last else " to ".join(days)


def _by_day(choice: Choice, found: Spend) -> Iterator[tuple[str, Any, str]]:
    for day, total in found.days:
        days = month(day) if found.by_month else {"first": day, "last": day}
        yield spend_charts.named(day, by_month=found.by_month), total, choice.address(**days)


def _user_row(line: Line, found: Spend, choice: Choice, against_limits: bool) -> dict[str, Any]:
    """A user's bar is the share of his own limit where the whole of this month is looked at."""
    limit = line.limit if against_limits else None
    width = share(line.total.micros, limit) if limit is not None else _of_most(line, found.users)
    return vars(line) | {
        "address": choice.address(user=int(line.key)) if line.key else "",
        "account": reverse("admin:accounts_user_change", args=[line.key]) if line.limit is not None else "",
        "width": width,
        "hot": limit is not None and width >= 100 * HOT,
    }


def _model_row(line: Line, found: Spend, choice: Choice) -> dict[str, Any]:
    address = choice.address(model=line.key) if line.key else ""
    name = short_model(line.name) if line.key else line.name
    return vars(line) | {"name": name, "address": address, "width": _of_most(line, found.models), "hot": False}


def _of_most(line: Line, lines: list[Line]) -> float:
    most = max(other.total.micros for other in lines)
    return share(line.total.micros, most or None)


def _read(choice: Choice) -> Iterator[bytes]:
    """The CSV, a page of rows at a time."""
    yield _csv([list(COLUMNS)])
    last: tuple[date, int] | None = None
    while page := _page(choice, last):
        last = page[-1].day, page[-1].pk
        yield _csv([_cells(row) for row in page])


async def _read_async(choice: Choice) -> AsyncIterator[bytes]:
    """The same from an event loop, which no database may hold up."""
    pages = _read(choice)
    while page := await asyncio.to_thread(next, pages, b""):
        yield page


def _page(choice: Choice, last: tuple[date, int] | None) -> list[DailySpend]:
    rows = choice.rows().select_related("user").order_by("day", "pk")
    if last is not None:
        rows = rows.filter(Q(day__gt=last[0]) | Q(day=last[0], pk__gt=last[1]), day__gte=last[0])
    page = list(rows[:PAGE_ROWS])
    # Whoever reads slowly must not hold one of the few connections meanwhile.
    if not connection.in_atomic_block:
        connection.close()
    return page


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(safe_cells(row) for row in rows)
    return text.getvalue().encode()


def _cells(row: DailySpend) -> list[str]:
    """In the order of `COLUMNS`; who has no account any more is known by the number."""
    return [
        row.day.isoformat(),
        row.user.username if row.user else row.user_scope.rpartition("/")[2],
        row.model,
        row.provider,
        row.end,
        str(row.ended),
        str(row.count),
        usd(row.micros),
        usd(row.estimated_micros),
    ]
