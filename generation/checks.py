"""Django system checks on settings that only the catalog, or the world outside, can judge."""

import logging
from collections.abc import Sequence
from typing import Any, Literal

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.utils import timezone

from accounts import alerts
from generation import catalog
from generation.webhooks import reach

log = logging.getLogger(__name__)

# The tag of those that only look at settings.
OF_SETTINGS = "settings"


def default_models(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Both defaults must be models of the catalog that make what they are the default for."""
    return [
        *_check("DEFAULT_IMAGE_MODEL", settings.DEFAULT_IMAGE_MODEL, "image", "generation.E001"),
        *_check("DEFAULT_VIDEO_MODEL", settings.DEFAULT_VIDEO_MODEL, "video", "generation.E002"),
    ]


def _check(setting: str, given: str, type: Literal["image", "video"], id: str) -> list[CheckMessage]:
    accepted = [spec.id for spec in catalog.all_models() if spec.type == type]
    if given in accepted:
        return []
    words = " or ".join(filter(None, (", ".join(accepted[:-1]), accepted[-1])))
    return [Error(f"{setting} is {given!r}, but {words} is accepted.", id=id)]


def webhooks_over_https(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Replicate takes https addresses for webhooks only; a provider on this machine takes any."""
    real = settings.REPLICATE_API_TOKEN and settings.PROVIDER_URL.startswith("https://")
    if not real or not settings.PUBLIC_URL.startswith("http://"):
        return []
    return [
        Caution(
            f"PUBLIC_URL is {settings.PUBLIC_URL!r}, but Replicate sends webhooks to https addresses only.",
            hint="Set PUBLIC_URL to the https address of this installation, or leave it empty: then it is polled.",
            id="generation.W001",
        )
    ]


def webhooks_arrive(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """With `--deploy`: whether PUBLIC_URL leads to our door; an address that does not answer yet is no fault."""
    if not settings.PUBLIC_URL:
        return []
    answer = reach.knock()
    if not answer.redirected:
        _log(answer)
        return []
    return [Caution(_redirected(answer), hint=_hint(answer), id="generation.W002")]


def note_whether_webhooks_arrive() -> None:
    """The same as the worker asks it at its start: a redirect becomes an alert. Never raises on what it hears."""
    if not settings.PUBLIC_URL:
        return
    answer, now = reach.knock(), timezone.now()
    if answer.redirected:
        alerts.note("webhook_redirected", f"{_redirected(answer)} {_hint(answer)}", now=now)
        return
    _log(answer)
    if answer.status:
        alerts.over("webhook_redirected", now=now)


def _redirected(answer: reach.Answer) -> str:
    return f"{settings.PUBLIC_URL}{reach.PATH} answers {answer.status}: webhooks would be redirected and lost."


def _hint(answer: reach.Answer) -> str:
    if answer.leads_to and answer.leads_to != settings.PUBLIC_URL:
        return f"Set PUBLIC_URL to {answer.leads_to}, where it leads to."
    return f"Let what stands in front of the web process pass {reach.PATH} on as it is."


def _log(answer: reach.Answer) -> None:
    if answer.status != 400:
        said = f"answered {answer.status}" if answer.status else "did not answer"
        log.info("PUBLIC_URL could not be tried: %s%s %s", settings.PUBLIC_URL, reach.PATH, said)
