"""The settings page of webhooks: registered, changed, tried out, and what was sent to each."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.web.profile import user_of
from generation.models import OutgoingMessage, WebhookEndpoint
from generation.models.outgoing import EVENTS
from generation.outgoing import endpoints

# What an event is called on the page.
EVENT_NAMES = {
    "prediction.succeeded": gettext_noop("succeeded"),
    "prediction.failed": gettext_noop("failed"),
    "prediction.canceled": gettext_noop("was canceled"),
    "prediction.lost": gettext_noop("was made, and lost before it was saved"),
}
LOG_SIZE = 50


class WebhookForm(forms.Form):
    """An address, what it is for, and the ends that it is told of."""

    url = forms.CharField(max_length=2000, strip=True)
    description = forms.CharField(max_length=80, required=False, strip=True)
    events = forms.MultipleChoiceField(
        choices=list(EVENT_NAMES.items()),
        error_messages={"required": gettext_lazy("Choose at least one end that it is told of.")},
    )

    def refuse(self, error: endpoints.InvalidEndpoint) -> None:
        """Say beside each field why there is no such webhook."""
        for name, sentence in error.errors.items():
            self.add_error(name, sentence)

    @property
    def shown_events(self) -> list[tuple[str, str, bool]]:
        """Value, name, and whether it is chosen."""
        chosen = self["events"].value() or []
        return [(event, gettext(name), event in chosen) for event, name in EVENT_NAMES.items()]


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhooks(request: HttpRequest) -> HttpResponse:
    """All of them; or register one and show its secret, this once, on the answer itself."""
    if request.method != "POST":
        return list_page(request, WebhookForm(initial={"events": list(EVENTS)}))
    form = WebhookForm(request.POST)
    if not form.is_valid():
        return list_page(request, form, status=422)
    try:
        row = endpoints.register(user=user_of(request), now=timezone.now(), **form.cleaned_data)
    except endpoints.InvalidEndpoint as error:
        form.refuse(error)
        return list_page(request, form, status=422)
    return detail_page(request, row, new_secret=row.secret)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhook(request: HttpRequest, id: UUID) -> HttpResponse:
    """One of them with its delivery log; or change it."""
    row = own(request, id)
    if request.method != "POST":
        return detail_page(request, row)
    form = WebhookForm(request.POST)
    if not form.is_valid():
        return detail_page(request, row, form=form, status=422)
    try:
        endpoints.change(endpoint=row, changes=form.cleaned_data, now=timezone.now())
    except endpoints.InvalidEndpoint as error:
        form.refuse(error)
        return detail_page(request, row, form=form, status=422)
    messages.success(request, gettext("Saved."))
    return redirect("webhook", row.pk)


@login_required
@require_POST
def webhook_switch(request: HttpRequest, id: UUID) -> HttpResponse:
    """Enable or disable it, as the button says."""
    enabled = request.POST.get("enabled") == "1"
    endpoints.change(endpoint=own(request, id), changes={"enabled": enabled}, now=timezone.now())
    messages.success(request, gettext("Enabled.") if enabled else gettext("Disabled. Nothing more is sent there."))
    return redirect("webhook", id)


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhook_secret(request: HttpRequest, id: UUID) -> HttpResponse:
    """Make a new secret and show it, this once, on the answer itself."""
    row = own(request, id)
    if request.method != "POST":  # the address of that answer, opened once more
        return redirect("webhook", row.pk)
    row = endpoints.rotate(endpoint=row, now=timezone.now())
    return detail_page(request, row, new_secret=row.secret)


@login_required
@require_POST
def webhook_test(request: HttpRequest, id: UUID) -> HttpResponse:
    """Send a message that says it is a test."""
    try:
        endpoints.send_test(endpoint=own(request, id), now=timezone.now())
        messages.success(request, gettext("A test is on its way. Look at the deliveries in a moment."))
    except endpoints.NotSent as error:
        messages.error(request, str(error))
    return redirect("webhook", id)


@login_required
@require_POST
def webhook_resend(request: HttpRequest, id: UUID, delivery: UUID) -> HttpResponse:
    """Send one message again."""
    rows = OutgoingMessage.objects.filter(endpoint=own(request, id)).select_related("endpoint")
    try:
        endpoints.send_again(message=get_object_or_404(rows, pk=delivery), now=timezone.now())
        messages.success(request, gettext("It is sent again, under the same id."))
    except endpoints.NotSent as error:
        messages.error(request, str(error))
    return redirect("webhook", id)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def webhook_delete(request: HttpRequest, id: UUID) -> HttpResponse:
    """Ask whether to delete it, or do it."""
    row = own(request, id)
    if request.method != "POST":
        return render(request, "generation/webhook_confirm_delete.html", {"row": row})
    row.delete()
    messages.success(request, gettext("The webhook is deleted."))
    return redirect("webhooks")


@login_required
@require_safe
def webhook_message(request: HttpRequest, id: UUID, delivery: UUID) -> HttpResponse:
    """What one message says, and every try to deliver it."""
    row = own(request, id)
    message = get_object_or_404(OutgoingMessage.objects.filter(endpoint=row), pk=delivery)
    return render(request, "generation/webhook_message.html", {"row": row, "message": message})


def own(request: HttpRequest, id: UUID) -> WebhookEndpoint:
    """The user's webhook; 404 for another's."""
    return get_object_or_404(WebhookEndpoint, pk=id, user=user_of(request))


def list_page(request: HttpRequest, form: WebhookForm, *, status: int = 200) -> HttpResponse:
    """All webhooks, and the form for one more."""
    rows = WebhookEndpoint.objects.filter(user=user_of(request))
    return render(request, "generation/webhook_list.html", {"rows": rows, "form": form}, status=status)


def detail_page(
    request: HttpRequest, row: WebhookEndpoint, *, form: WebhookForm | None = None, status: int = 200, **extra: Any
) -> HttpResponse:
    """One webhook, with what its form has to say."""
    saved = {"url": row.url, "description": row.description, "events": row.events}
    log = OutgoingMessage.objects.filter(endpoint=row).defer("body")[:LOG_SIZE]
    context = {"row": row, "form": form or WebhookForm(initial=saved), "log": log, "now": timezone.now(), **extra}
    return render(request, "generation/webhook_detail.html", context, status=status)
