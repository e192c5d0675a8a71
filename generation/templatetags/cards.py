"""Cards in pages: `{% load cards %}`."""

from django import template
from django.template import Context, Engine
from django.utils.safestring import SafeString

from accounts.fragments import fragment
from generation.web.runs import Shown

register = template.Library()


@register.simple_tag(takes_context=True)
def card(context: Context, card: Shown, eager: bool | str = False) -> SafeString:
    """A card where it stands; `eager` is when its pictures are fetched (see `pictures.WHEN`)."""
    if (decided_by := card.still) is not None:
        return fragment(card.template, decided_by, {"card": card}, eager=eager)
    with context.push(card=card, eager=eager):
        return Engine.get_default().get_template(card.template).render(context)
