"""While a request is being written: references that come and move, drafts, and what was written before."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.http import require_GET, require_POST

from accounts.web.toasts import toasts, undoable
from generation import catalog, drafts
from generation.web import forms, history, requests
from generation.web.access import is_htmx, see_other, signed_in, user_of
from generation.web.views import composer_context, keep_draft, posted, tucked_away

CLEARED = gettext_noop("The form was cleared.")


@signed_in
def references(request: HttpRequest) -> HttpResponse:
    """The pictures of one field after some came along, were picked or were moved; for a script."""
    if request.method != "POST":
        return redirect("studio")
    now = timezone.now()
    composer = posted(request)
    item = composer.spec.field(request.GET.get("field", ""))
    if item is None or item.kind not in forms.FILE_KINDS:
        return render(request, "404.html", status=404)
    errors = dict(requests.keep_uploads(composer, request.FILES, now=now))
    chosen = list(composer.values.get(item.name) or ())
    most = 1 if item.kind == "file" else item.most
    if most is not None and len(chosen) > most:
        if item.kind == "files":
            sentence = gettext("At most %(most)s pictures; the last ones were left out.")
            errors.setdefault(item.name, []).append(sentence % {"most": most})
        composer.values[item.name] = chosen[-1:] if item.kind == "file" else chosen[:most]
    forms.move(composer, request.POST.get("move", ""))
    composer.errors = errors
    keep_draft(composer, now=now)
    bound = next((field for field in composer.fields if field.name == item.name), None)
    answer = render(request, "generation/_chosen.html", {"f": bound, "composer": composer, "count": True})
    answer["HX-Trigger-After-Settle"] = "referencesChanged"
    return answer


@require_POST
@signed_in
def draft(request: HttpRequest) -> HttpResponse:
    """Keep what stands in the form; the page asks for it by itself while somebody writes."""
    composer = posted(request)
    if not composer.errors:
        keep_draft(composer, now=timezone.now())
    return HttpResponse(status=204)


@require_POST
@signed_in
def clear(request: HttpRequest) -> HttpResponse:
    """An empty form for the same model; what stood in it can be brought back, if it can be kept."""
    now = timezone.now()
    before = posted(request)
    if drafts.clear_draft(user=before.user, spec=before.spec, values=before.draft, now=now):
        undoable(request, gettext(CLEARED), f"/draft/restore?model={before.spec.id}")
    else:
        messages.success(request, gettext(CLEARED))
    return composer_again(request, forms.Composer(before.user, before.spec))


@require_POST
@signed_in
def restore(request: HttpRequest) -> HttpResponse:
    """Bring back what was cleared last."""
    now, user = timezone.now(), user_of(request)
    spec, _ = forms.spec_named(request.GET.get("model", ""), "image")
    drafts.restore_draft(user=user, spec=spec, now=now)
    values = drafts.drafts_of(user=user).get(spec.id, {})
    runs = forms.runs_of(values)
    return composer_again(request, forms.Composer(user, spec, values, runs=runs))


def composer_again(request: HttpRequest, composer: forms.Composer) -> HttpResponse:
    """The form in its place, wherever in the page it was asked for."""
    if not is_htmx(request):
        return see_other(f"/?model={composer.spec.id}")
    context = {**composer_context(composer, now=timezone.now()), "folded": tucked_away(request)}
    answer = render(request, "generation/_composer.html", context)
    answer.write(toasts(request))
    answer["HX-Retarget"], answer["HX-Reswap"] = "#composer", "outerHTML"
    return answer


@require_GET
@signed_in
def prompts(request: HttpRequest) -> HttpResponse:
    """What the creator has asked for before, newest first, by words: a page, or the list in the page that asks."""
    found = history.find_prompts(
        user=user_of(request), words=request.GET.get("q", ""), before=request.GET.get("before", "")
    )
    context = {"history": found, "spec": _spec(request)}
    if not is_htmx(request):
        return render(request, "generation/history.html", context)
    part = "_history_page" if {"before", "q"} & set(request.GET) else "_history"
    return render(request, f"generation/{part}.html", context)


def _spec(request: HttpRequest) -> catalog.ModelSpec:
    return forms.spec_named(request.GET.get("model", ""), "image")[0]
