"""The administrator's health page: what monitoring reads at `/metrics`, in words, and what may need a person first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.templatetags.studio import thousands
from palette import health, vitals

GROUPS: Final = {
    "Work": ("queue_age_seconds", "queue_rows", "set_aside_rows"),
    "Predictions": ("predictions_unfinished", "predictions_ended", "provider_errors"),
    "Files and doors": ("outputs_unsaved", "output_unsaved_seconds", "provider_closed", "store_closed"),
    "Webhooks and sockets": ("webhook_lag_seconds", "webhooks_rejected", "sockets"),
    "Money": ("spent_usd", "held_usd", "budget_usd", "reservations_of_finished"),
    "Alerts": ("alerts", "vitals_failed"),
}


@dataclass(frozen=True)
class Row:
    """One figure for people: `hot` is for those that somebody should look at."""

    name: str
    sentence: str
    label: str
    figure: str
    hot: bool


@require_safe
def page(request: HttpRequest) -> TemplateResponse:
    """For whoever may see the Spend page. Raises `PermissionDenied`."""
    if not request.user.has_perm("accounts.view_dailyspend"):
        raise PermissionDenied
    now = timezone.now()
    readings = vitals.read(now=now)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Health",
        "now": timezone.localtime(now),
        "zone": settings.TIME_ZONE,
        "checks": [(name, health.outcome(name, check, now)) for name, check in health.CHECKS.items()],
        "groups": [(title, list(rows(readings, names))) for title, names in GROUPS.items()],
        "hot": [row for row in rows(readings, tuple(vitals.VITALS)) if row.hot],
    }
    return TemplateResponse(request, "admin/health/page.html", context)


def rows(readings: list[vitals.Reading], names: tuple[str, ...]) -> Iterator[Row]:
    """The figures of these vitals, in this order."""
    for name in names:
        vital = vitals.VITALS[name]
        for _, label, figure in (reading for reading in readings if reading[0] == name):
            hot = vital.too_much is not None and figure >= vital.too_much
            yield Row(name, vital.sentence, label, in_words(name, figure), hot)


def in_words(name: str, figure: float) -> str:
    """With its unit."""
    if name.endswith("_usd"):
        return f"${figure:,.2f}"
    if name.endswith("_seconds"):
        return f"{figure:,.0f} s"
    return thousands(int(figure))
