"""Whether those who hold a socket are still signed in, asked for many at once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.utils.crypto import constant_time_compare

from accounts.models import User
from accounts.statements import read


@dataclass(frozen=True)
class Credentials:
    """Whose socket it is, and by which session he was let in."""

    user_id: int
    session_key: str


def ended(credentials: Collection[Credentials], *, now: datetime) -> set[Credentials]:
    """Those whose session is gone or another's, whose password has changed, or whose account is closed."""
    store: Any = import_module(settings.SESSION_ENGINE).SessionStore()
    keys = tuple({one.session_key for one in credentials})
    rows = [row for row in read(store.get_model_class(), {"session_key": keys}) if row.expire_date > now]
    sessions = {row.session_key: store.decode(row.session_data) for row in rows}
    active = {"pk": tuple({one.user_id for one in credentials}), "is_active": True}
    users = {user.pk: user for user in read(User, active)}
    return {one for one in credentials if not holds(sessions.get(one.session_key), users.get(one.user_id))}


def holds(session: Mapping[str, Any] | None, user: User | None) -> bool:
    """Whether `session` signs `user` in; a changed password changes the hash that it must carry."""
    if session is None or user is None or session.get(SESSION_KEY) != str(user.pk):
        return False
    given = session.get(HASH_SESSION_KEY, "")
    accepted = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(given, one) for one in accepted)
