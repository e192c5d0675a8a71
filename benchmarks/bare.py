"""B2's reference: one view that verifies a delivery as the product does, and keeps nothing. WSGI and ASGI."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from generation.webhooks.signature import NotSigned, verify

settings.configure(
    SECRET_KEY="only for a benchmark", ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, MIDDLEWARE=[], USE_TZ=True
)
SECRETS = [os.environ["BENCH_SECRET"]]


def receive(request: HttpRequest) -> HttpResponse:
    """204, or 400 for what was not signed."""
    try:
        verify(body=request.body, headers=request.headers, secrets=SECRETS)
    except NotSigned:
        return HttpResponse(status=400)
    return HttpResponse(status=204)


urlpatterns = [path("api/webhooks/replicate", receive), path("healthz", lambda request: HttpResponse())]
wsgi, asgi = get_wsgi_application(), get_asgi_application()
