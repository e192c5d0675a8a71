"""Lists that take the same time over ten thousand rows and over millions.

Nothing is counted or summed beyond `MOST` rows, rows come in the order of an index, and filters offer choices that are
known beforehand. What no index finds is looked for in the newest `MOST` rows, and the page says so. Sums of more than
a screenful or two come after the list, by an address of their own.
"""

import calendar
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, ClassVar, cast

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.functional import cached_property

from accounts.admin_base import CheckedList, ReadOnly

MOST = 50_000
# So many rows are summed at once, with the list.
AT_ONCE = 1_000


class Ceiling(int):
    """A count that was given up there; shown as "more than 50,000"."""

    def __str__(self) -> str:
        return f"more than {int(self):,}"


class CappedPaginator(Paginator):
    """Counts to `MOST` and no further."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, or a `Ceiling`."""
        rows = cast("QuerySet[Any]", self.object_list)
        # Only the column is asked for that orders them, so that the index by which they are found is all that is read.
        ordering = str(next(iter(rows.query.order_by), "pk")).lstrip("-")
        counted = rows.order_by().values_list(ordering)[: MOST + 1].count()
        return Ceiling(MOST) if counted > MOST else int(counted)


class Choice(admin.SimpleListFilter):
    """A filter on `column` whose choices are known without looking at the rows.

    Where no index finds the rows, `deep` has it look at the newest of them only; `deep_in_dates` does so where its
    index is of no use because a month or day is chosen beside it.
    """

    column: ClassVar[str]
    known: ClassVar[Iterable[tuple[str, str]]] = ()
    deep: ClassVar[bool] = False
    deep_in_dates: ClassVar[bool] = False

    def __init__(self, request: HttpRequest, params: dict[str, list[str]], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.is_deep = self.deep or (self.deep_in_dates and f"{model_admin.date_hierarchy}__year" in request.GET)

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        """Value and words."""
        return self.known

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        """Narrowed now, or left to the list."""
        return None if self.is_deep or self.value() is None else self.narrow(queryset, str(self.value()))

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        """The rows that the choice means; none for a value that is nowhere."""
        return queryset.filter(**{self.column: value})


class BigChangeList(CheckedList):
    """What a `BigList` shows for one request."""

    model_admin: "BigList"
    most = f"{MOST:,}"
    # Whether rows older than the newest `MOST` were not looked at.
    left_out = False

    def get_filters(self, request: HttpRequest) -> Any:
        """Dates that no calendar has are refused like every other strange parameter."""
        year, month, day = (f"{self.date_hierarchy}__{part}" in self.params for part in ("year", "month", "day"))
        if (month and not year) or (day and not month):
            raise IncorrectLookupParameters
        return super().get_filters(request)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """By an index, whatever the address asks for."""
        return list(self.model_admin.get_ordering(request))

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Filtered by index first, and what is left by the `deep` filters."""
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        deep = [spec for spec in self.filter_specs if isinstance(spec, Choice) and spec.is_deep and spec.value()]
        if not deep:
            return rows
        column = self.model_admin.newest_by
        floor = next(iter(rows.order_by(f"-{column}").values_list(column, flat=True)[MOST : MOST + 1]), None)
        if floor is not None:
            self.left_out = True
            rows = rows.filter(**{f"{column}__gt": floor})
        for spec in deep:
            rows = spec.narrow(rows, str(spec.value()))
        return rows

    # Whether sums are wanted at once, however many rows they are of.
    summed = False

    @cached_property
    def sums_follow(self) -> bool:
        """Whether the list is shown before its sums."""
        within = self.result_count > AT_ONCE and not isinstance(self.result_count, Ceiling)
        return self.model_admin.sums and within and not self.summed

    @cached_property
    def totals(self) -> list[str]:
        """Sentences on the sums of what is shown; one that says so where there is too much to sum."""
        if isinstance(self.result_count, Ceiling):
            return [f"More than {MOST:,} rows: choose a filter or a month to see their sums."]
        return self.model_admin.totals(self.queryset) if self.result_count and not self.sums_follow else []

    @property
    def counted(self) -> str:
        """How many rows, for people."""
        return f"{self.result_count:,}"

    @property
    def sums_address(self) -> str:
        """Where the sums of this list are."""
        return f"{self.model_admin.sums_page()}{self.get_query_string(remove=['p'])}"

    @cached_property
    def dates(self) -> Mapping[str, Any]:
        """The date hierarchy, from the oldest and the newest row alone: it may name days on which nothing was."""
        name = str(self.date_hierarchy)
        first, last = (_edge(self.root_queryset, order) for order in (name, f"-{name}"))
        if first is None or last is None:
            return {"show": False}
        given = [self.params.get(f"{name}__{part}") for part in ("year", "month", "day")]
        year, month, day = (int(value) if value else None for value in given)
        return {"show": True, **self._drill(name, first, last, year, month, day)}

    def _drill(
        self, name: str, first: date, last: date, year: int | None, month: int | None, day: int | None
    ) -> dict[str, Any]:
        """One level of the hierarchy: the way back, and where it goes on."""

        def link(**parts: int) -> str:
            return str(
                self.get_query_string({f"{name}__{part}": value for part, value in parts.items()}, [f"{name}__"])
            )

        if year is None and first.year == last.year:
            year = first.year
        if year is None:
            years = range(first.year, last.year + 1)
            return {"choices": [{"link": link(year=number), "title": str(number)} for number in years]}
        if month is None:
            months = (date(year, number, 1) for number in range(1, 13))
            inside = [start for start in months if first.replace(day=1) <= start <= last]
            choices = [{"link": link(year=year, month=start.month), "title": f"{start:%B %Y}"} for start in inside]
            return {"back": {"link": link(), "title": "All dates"}, "choices": choices}
        if day is None:
            days = (date(year, month, number) for number in range(1, calendar.monthrange(year, month)[1] + 1))
            choices = [
                {"link": link(year=year, month=month, day=on.day), "title": f"{on.day} {on:%B}"}
                for on in days
                if first <= on <= last
            ]
            return {"back": {"link": link(year=year), "title": str(year)}, "choices": choices}
        back = {"link": link(year=year, month=month), "title": f"{date(year, month, 1):%B %Y}"}
        return {"back": back, "choices": [{"title": f"{day} {date(year, month, day):%B}"}]}


def _edge(rows: QuerySet[Any], order: str) -> date | None:
    """The first day by that order."""
    value = rows.order_by(order).values_list(order.lstrip("-"), flat=True).first()
    return timezone.localtime(value).date() if isinstance(value, datetime) else value


class BigList(ReadOnly, admin.ModelAdmin):
    """A read-only list of rows that never stop growing."""

    change_list_template = "admin/accounts/big_list.html"
    paginator = CappedPaginator
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()

    class Media:
        css: ClassVar = {"all": ("css/oversight.css",)}

    # An indexed column that grows with the rows.
    newest_by: ClassVar[str] = "created_at"
    # Columns that links from other pages name exactly.
    linked_by: ClassVar[tuple[str, ...]] = ()
    # Whether `totals` says anything.
    sums: ClassVar[bool] = False

    def get_urls(self) -> list[Any]:
        """With the page of sums."""
        page = path("sums/", self.admin_site.admin_view(self.sums_view), name=self._sums_name())
        return [page, *super().get_urls()]

    def _sums_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_sums"

    def sums_page(self) -> str:
        """Its address."""
        return reverse(f"admin:{self._sums_name()}")

    def sums_view(self, request: HttpRequest) -> HttpResponse:
        """The sums alone for a page that asks for them, else the list with its sums."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        try:
            changes = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))
        if "HX-Request" in request.headers:
            return TemplateResponse(request, "admin/accounts/_totals.html", {"cl": changes})
        return self.changelist_view(request)

    def get_changelist_instance(self, request: HttpRequest) -> BigChangeList:
        """That of the page of sums has them."""
        changes = cast(BigChangeList, super().get_changelist_instance(request))
        changes.summed = request.path == self.sums_page()
        return changes

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list that counts no further than it must."""
        return BigChangeList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """What the page itself offers; other look-ups could read the whole table."""
        parts = {f"{self.date_hierarchy}__{part}" for part in ("year", "month", "day")}
        filters = {getattr(item, "parameter_name", "") for item in self.list_filter}
        return lookup in parts | filters | set(self.linked_by)

    def totals(self, rows: QuerySet[Any]) -> list[str]:
        """Sentences on the sums of at most `MOST` rows."""
        return []
