"""What an administrator must be told of: noted where it happens, told by the work loop, once an hour at most."""

import logging
from datetime import datetime, timedelta

from django.db.models import F, Q

from accounts import mail
from accounts.dispatch import by_mail
from accounts.models import Alert, User

log = logging.getLogger(__name__)

TOLD_AGAIN_AFTER = timedelta(hours=1)


def note(name: str, detail: str, *, now: datetime) -> None:
    """Remember a trouble; `detail` is a sentence for administrators without secrets or prompts. No network."""
    log.error("alert %s: %s", name, detail)
    facts = {"detail": detail[:500], "last_at": now}
    rows = Alert.objects.filter(name=name)
    if rows.filter(over_at=None).update(count=F("count") + 1, **facts):
        return
    if rows.exclude(over_at=None).update(count=1, first_at=now, over_at=None, told_at=None, posted_at=None, **facts):
        return
    Alert.objects.bulk_create([Alert(name=name, first_at=now, **facts)], ignore_conflicts=True)


def over(name: str, *, now: datetime) -> None:
    """The trouble is seen to be over; nothing happens when there was none."""
    Alert.objects.filter(name=name, over_at=None).update(over_at=now)


def tell(*, now: datetime) -> int:
    """Mail what is new, or still goes on after an hour, to every administrator; returns how many alerts.

    Raises `MailUnsent` when that failed: what was not told is told the next time.
    """
    due = [(alert, by_mail(alert)) for alert in Alert.objects.filter(due_again("told_at", now=now), over_at=None)]
    taken = [(alert, sending) for alert, sending in due if sending.take()]
    to = administrators()
    if taken and to:
        lines = [
            f"{alert.name}: {alert.detail} ({alert.count} times since {alert.first_at:%F %T} UTC)" for alert, _ in taken
        ]
        text = "\n\n".join([*lines, "The admin shows all alerts; docs/operations.md says what to do about each."])
        try:
            mail.send(subject="Directors Palette needs you", text=text, to=to)
        except BaseException:
            for _, sending in taken:
                sending.put_back()
            raise
    for _, sending in taken:
        sending.enter(now=now)
    return len(taken)


def administrators() -> list[str]:
    """The addresses of those whom this is for."""
    rows = User.objects.filter(is_superuser=True, is_active=True).exclude(email="")
    return list(rows.values_list("email", flat=True))


def due_again(told: str, *, now: datetime) -> Q:
    """Alerts that were never told in the way whose column is `told`, or have gone on for an hour since."""
    return Q(**{told: None}) | Q(**{f"{told}__lt": now - TOLD_AGAIN_AFTER, "last_at__gt": F(told)})
