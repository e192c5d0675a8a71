"""The provider's door: verify the raw bytes, keep them, apply them, answer 204. No outgoing call, no redirect."""

import logging

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.log_context import about
from accounts.prepared import Prepared
from generation.models import ProviderState
from generation.webhooks import inbox, rejections
from generation.webhooks.signature import NotSigned, OutOfTime, verify

log = logging.getLogger(__name__)

MOST_BYTES = 1024 * 1024
KNOWN = Prepared(
    lambda provider: ProviderState.objects.filter(provider=provider).values("webhook_secrets"), provider=str
)


@csrf_exempt
@require_POST
def replicate(request: HttpRequest) -> HttpResponse:
    """204 kept, 400 not signed, 413 too large, 503 not kept or no secret known yet: the provider asks again."""
    try:
        body = _read(request)
        secrets = _secrets()
        if not secrets:
            return _turned_away("no_secret", 503)
        webhook_id = verify(body=body, headers=request.headers, secrets=secrets)
        prediction, token = request.GET.get("prediction", ""), request.GET.get("token", "")
        # Signed by the provider, but the address is not: only the beginning of what it says goes into a log.
        with about(prediction[:36]):
            inbox.receive(webhook_id=webhook_id, body=body, prediction=prediction, token=token, now=timezone.now())
    except RequestDataTooBig:
        return HttpResponse(status=413)
    except OutOfTime as error:
        _tell_of(error)
        return _turned_away("out_of_time", 400)
    except (NotSigned, UnreadablePostError):
        return _turned_away("unsigned", 400)
    except DatabaseError:
        log.exception("a delivery could not be kept")
        return HttpResponse(status=503, headers={"Retry-After": "5"})
    return HttpResponse(status=204)


def _turned_away(reason: rejections.Reason, status: int) -> HttpResponse:
    rejections.count(reason, day=timezone.localdate())
    return HttpResponse(status=status, headers={"Retry-After": "5"} if status == 503 else {})


def _read(request: HttpRequest) -> bytes:
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > MOST_BYTES:
        raise RequestDataTooBig
    body = request.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise RequestDataTooBig
    return body


def _tell_of(error: OutOfTime) -> None:
    try:
        inbox.note_out_of_time(seconds=error.seconds, now=timezone.now())
    except DatabaseError:
        log.warning("a delivery came %+.0f s after it was sent, which could not be noted", error.seconds)


def _secrets() -> list[str]:
    """Those of the environment, else what the worker was told by the provider."""
    if settings.REPLICATE_WEBHOOK_SECRETS:
        return list(settings.REPLICATE_WEBHOOK_SECRETS)
    return [secret for row in KNOWN(provider=settings.PROVIDER) for secret in row["webhook_secrets"] or ()]
