"""`/metrics` for Prometheus: figures of this moment, for this machine and for whoever has `METRICS_TOKEN`."""

from collections.abc import Iterator
from hmac import compare_digest
from itertools import groupby

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from palette import problems, vitals
from palette.environment import is_loopback
from palette.proxies import came_forwarded


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The vitals, or 404: who may not read them need not know that they are here."""
    if not may_read(request):
        return problems.not_found(request)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(vitals.read(now=timezone.now())))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def may_read(request: HttpRequest) -> bool:
    """Whether the request carries the token, or comes from this machine itself, through no proxy."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    if settings.METRICS_TOKEN and compare_digest(given, settings.METRICS_TOKEN.encode()):
        return True
    return is_loopback(request.META.get("REMOTE_ADDR", "")) and not came_forwarded(request)


class Figures(Collector):
    """Readings in the client library's words."""

    def __init__(self, readings: list[vitals.Reading]) -> None:
        self.readings = readings

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """A family for each vital that has figures."""
        order = list(vitals.VITALS)
        found = sorted(self.readings, key=lambda reading: order.index(reading[0]))
        for name, readings in groupby(found, key=lambda reading: reading[0]):
            vital = vitals.VITALS[name]
            family = GaugeMetricFamily(f"palette_{name}", vital.sentence, labels=[vital.label] if vital.label else [])
            for _, value, figure in readings:
                family.add_metric([value] if vital.label else [], figure)
            yield family
