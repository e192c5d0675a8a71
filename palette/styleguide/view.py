"""GET /styleguide: for those who work on the product; for everybody else there is no such page."""

from itertools import count

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from palette import problems
from palette.styleguide import parts
from palette.styleguide.cards import Maker, every_state
from palette.styleguide.tokens import icons, tokens

# Where the frames of each theme begin, so that no two parts of the page have one id.
THEMES = {"dark": 400, "light": 500}


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """Nothing of it is in a table, so that looking at it leaves nothing behind."""
    if not request.user.is_staff:
        return problems.not_found(request)
    now = timezone.now()
    context = {
        **tokens(),
        "icons": icons(),
        "sheets": [(theme, every_state(Maker(now, count(first)))) for theme, first in THEMES.items()],
        "said": parts.messages(),
        "simulated": True,
        **parts.fields(),
        **parts.composing(now=now),
        **parts.figures(now=now),
        **parts.gallery(now=now),
    }
    return render(request, "palette/styleguide/page.html", context)
