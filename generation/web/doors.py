"""The doors that are closed just now to what stands in the form, in words for its button and the line above it."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext

from accounts.models import User
from accounts.storage_room import StorageFull
from generation import catalog, lifecycle, pauses
from generation.catalog.base import ModelSpec


@dataclass(frozen=True)
class Closed:
    """`word` is short enough for the button; `for_a_while`: it opens by itself, and a form may look again."""

    word: str
    why: str
    for_a_while: bool = False


def closed(*, user: User, spec: ModelSpec, now: datetime, thrown: pauses.Pauses | None = None) -> Closed | None:
    """The first door that would refuse, whatever the inputs; None while all are open."""
    try:
        lifecycle.check_doors(user=user, spec=spec, now=now, thrown=thrown)
    except lifecycle.EmailNotConfirmed:
        return Closed(
            gettext("Confirm your e-mail first"), gettext("We have sent you a link. Until then nothing is generated.")
        )
    except lifecycle.ModelUnavailable as gone:
        why = gettext("The provider does not offer this model just now.")
        if gone.fallback:
            proposal = gettext("%(model)s does the same kind of work.") % {"model": catalog.get(gone.fallback).title}
            why = f"{why} {proposal}"
        return Closed(gettext("Not offered just now"), why)
    except pauses.Paused as paused:
        return Closed(gettext("Paused"), paused.reason, for_a_while=True)
    except StorageFull as full:
        return Closed(
            gettext("No room left"),
            gettext("%(sentence)s Delete something and empty the trash to make room.") % {"sentence": full.sentence},
        )
    except lifecycle.SubmissionsClosed as shut:
        return Closed(gettext("Closed just now"), shut.reason, for_a_while=True)
    return None
