"""Kill switches: what is paused, why, and what is therefore neither taken nor sent.

What waits stays in the queue, and its card says the reason; what is at the provider already goes on to its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import QuerySet
from django.utils.translation import gettext

from accounts.models import User
from accounts.statements import Sql, read
from generation.models import Pause, Prediction

EVERYTHING: Final = "everything"
_USER, _MODEL = "user:", "model:"
# Nobody knows when a pause will be lifted; programs may ask again this often.
RETRY_AFTER_SECONDS: Final = 300


class Paused(Exception):
    """Nothing new is taken: `reason` is the administrator's, `of_user` tells whether it is meant for this one alone."""

    def __init__(self, reason: str, *, of_user: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.of_user = of_user

    @property
    def sentence(self) -> str:
        """For whoever asked."""
        return gettext("%(reason)s Nothing was made and nothing was charged.") % {"reason": self.reason}


class AlreadyPaused(Exception):
    """There is one switch for each target, and this one is thrown."""


def target_of(*, user_id: int | None = None, model: str = "") -> str:
    """The key of the switch for a user, for a model, or, with neither, for everything."""
    if user_id is not None:
        return f"{_USER}{user_id}"
    return f"{_MODEL}{model}" if model else EVERYTHING


def named(target: str) -> str:
    """The target in words, for administrators."""
    if target.startswith(_USER):
        user = User.objects.filter(pk=target.removeprefix(_USER)).first()
        return f"User {user or target.removeprefix(_USER)}"
    return f"Model {target.removeprefix(_MODEL)}" if target.startswith(_MODEL) else "Everything"


@dataclass(frozen=True)
class Pauses:
    """The switches that are thrown, each with its reason."""

    everything: str
    models: Mapping[str, str]
    users: Mapping[int, str]

    @property
    def any(self) -> bool:
        """Whether one is."""
        return bool(self.everything or self.models or self.users)

    def reason_for(self, *, user_id: int, model: str) -> str:
        """Why this user's requests of this model are held; empty when they are not. The widest switch speaks first."""
        return self.everything or self.models.get(model, "") or self.users.get(user_id, "")

    def without(self, waiting: QuerySet[Prediction]) -> QuerySet[Prediction]:
        """Those of `waiting` that no switch holds."""
        if self.everything:
            return waiting.none()
        return waiting.exclude(model__in=list(self.models)).exclude(user__in=list(self.users))


NONE: Final = Pauses("", {}, {})


def in_force() -> Pauses:
    """All switches that are thrown, in one statement."""
    thrown = [(pause.target, pause.reason) for pause in read(Pause, {})]
    reasons = {target: _sentence(reason) for target, reason in thrown}
    return Pauses(
        everything=reasons.get(EVERYTHING, ""),
        models={target.removeprefix(_MODEL): why for target, why in reasons.items() if target.startswith(_MODEL)},
        users={int(target.removeprefix(_USER)): why for target, why in reasons.items() if target.startswith(_USER)},
    )


def _sentence(reason: str) -> str:
    return reason if reason.endswith((".", "!", "?", "…")) else f"{reason}."


def reason_for(*, user_id: int, model: str) -> str:
    """Why nothing of this model is taken from this user just now, in the administrator's words; else empty."""
    return in_force().reason_for(user_id=user_id, model=model)


def none_for(*, user_id: int, model: str) -> Sql:
    """That no switch holds what this user asks of this model, for an UPDATE (see `accounts.statements`)."""
    targets = [EVERYTHING, target_of(user_id=user_id), target_of(model=model)]
    return Sql('NOT EXISTS (SELECT 1 FROM "generation_pause" WHERE "target" IN (%s, %s, %s))', targets)


def check(*, user_id: int, model: str, thrown: Pauses | None = None) -> None:
    """Raises `Paused` when a switch holds what this user asks of this model; `thrown` as `in_force` has read them."""
    thrown = thrown or in_force()
    if reason := thrown.reason_for(user_id=user_id, model=model):
        raise Paused(reason, of_user=not (thrown.everything or model in thrown.models))


def pause(*, target: str, reason: str, by: User | None, now: datetime) -> Pause:
    """Throw a switch. Raises `AlreadyPaused`."""
    made, fresh = Pause.objects.get_or_create(
        target=target, defaults={"reason": reason, "paused_at": now, "paused_by": by}
    )
    if not fresh:
        raise AlreadyPaused(target)
    return made


def lift(*, target: str) -> bool:
    """Take it back; False when it was not thrown."""
    return Pause.objects.filter(target=target).delete()[0] > 0
