"""Where somebody is signed in, and how that ends everywhere else."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from allauth.usersessions.models import UserSession
from django.utils.translation import gettext

from accounts.models import User

# The first that is named counts: browsers also name those that they claim to be like.
BROWSERS: Final = (
    *(("Edg", "Edge"), ("OPR", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox")),
    *(("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome"), ("Safari", "Safari"), ("curl", "curl")),
)
SYSTEMS: Final = (
    *(("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows")),
    *(("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux")),
)


@dataclass(frozen=True)
class SignIn:
    """One session: what its browser said of itself, from which address, since when; `here` is that of the request."""

    browser: str
    address: str
    since: datetime
    here: bool


def sign_ins(user: User, *, session_key: str) -> list[SignIn]:
    """The sessions that still hold, this one first, then the newest."""
    rows = UserSession.objects.purge_and_list(user)
    found = [SignIn(described(row.user_agent), row.ip, row.created_at, row.session_key == session_key) for row in rows]
    return sorted(found, key=lambda one: (not one.here, -one.since.timestamp()))


def end_others(user: User, *, session_key: str) -> int:
    """End every session of `user` but that of `session_key`; returns how many."""
    others = list(UserSession.objects.filter(user=user).exclude(session_key=session_key))
    for row in others:
        row.end()
    return len(others)


def described(agent: str) -> str:
    """A browser's own words in two of ours."""
    browser = next((name for word, name in BROWSERS if re.search(rf"\b{word}\b", agent)), "")
    system = next((name for word, name in SYSTEMS if word in agent), "")
    if browser and system:
        return gettext("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or gettext("An unknown browser")
