"""The mails that tell of a limit: to the user whose it is, and of the site's budget to administrators."""

from datetime import datetime
from typing import NamedTuple

from django.urls import reverse
from django.utils.translation import gettext, gettext_noop

from accounts import alerts, dispatch, mail
from accounts.addresses import absolute
from accounts.limits import SANDBOX
from accounts.models import ApiToken, BudgetNotice, User
from accounts.money import amount, dollars
from accounts.notices import NEWS_FOR, PROJECTION, THRESHOLDS
from accounts.periods import a_period, day_of, in_words, month_of, starts_at

MOST_AT_ONCE = 50
RESETS = gettext_noop("Above it nothing new is started, and what runs is finished. It resets on %(moment)s.")


class Audience(NamedTuple):
    """Who is told, whose limit it is, and what can be done about it."""

    to: list[str]
    whose: str
    remedy: str


def send(*, now: datetime) -> int:
    """Mail what is news, the newest first; returns how many notices are done with.

    Raises `MailUnsent` at the first that could not be sent: it and the rest are tried again the next time.
    """
    news = BudgetNotice.objects.filter(mailed_at=None, created_at__gt=now - NEWS_FOR).order_by("-id")
    done = 0
    for notice in news[:MOST_AT_ONCE]:
        sending = dispatch.by_mail(notice)
        if not sending.take():
            continue
        try:
            _mail(notice)
        except BaseException:
            sending.put_back()
            raise
        sending.enter(now=now)
        done += 1
    return done


def _mail(notice: BudgetNotice) -> None:
    audience = _audience(notice)
    if audience.to:
        parts = (notice.detail, _outlook(notice), audience.remedy, absolute(reverse("usage")))
        mail.send(subject=_subject(notice, audience.whose), text="\n\n".join(filter(None, parts)), to=audience.to)


def _subject(notice: BudgetNotice, whose: str) -> str:
    if notice.threshold == PROJECTION:
        return gettext("This month may cost %(cost)s, more than its budget") % {"cost": dollars(notice.used)}
    said = {"whose": whose, "amount": amount(notice.unit, notice.limit), "a_period": a_period(notice.period)}
    limit = gettext("%(whose)s limit of %(amount)s %(a_period)s") % said
    if notice.threshold == THRESHOLDS[-1]:
        return gettext("%(limit)s is used up") % {"limit": f"{limit[0].upper()}{limit[1:]}"}
    return gettext("%(share)s %% of %(limit)s is used") % {"share": notice.threshold, "limit": limit}


def _outlook(notice: BudgetNotice) -> str:
    if notice.threshold == PROJECTION:
        return gettext("Nothing is stopped by this; new work is refused once the budget is used up.")
    window = (day_of if notice.period == "day" else month_of)(starts_at(notice.starts_on))
    return gettext(RESETS) % {"moment": in_words(window.resets_at)}


def _audience(notice: BudgetNotice) -> Audience:
    """Nobody for an account that is closed, has no address or is gone."""
    kind, _, owner = notice.scope.removeprefix(f"{SANDBOX}/").partition(":")
    if kind == "site":
        remedy = gettext("The SITE_ variables of the environment set it.")
        return Audience(alerts.administrators(), gettext("the site's"), remedy)
    if kind == "token":
        token = ApiToken.objects.filter(pk=owner).first()
        remedy = gettext("The token is %(token)s; it and its limits are in your settings.") % {"token": token}
        return Audience(_address(token.user_id) if token else [], gettext("your token's"), remedy)
    remedy = gettext(
        "An administrator can raise it, or add to it for a while; a limit of your own is changed in your settings."
    )
    return Audience(_address(owner), gettext("your"), remedy)


def _address(user_id: str | int) -> list[str]:
    return list(User.objects.filter(pk=user_id, is_active=True).exclude(email="").values_list("email", flat=True))
