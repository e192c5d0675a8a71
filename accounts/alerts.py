"""What an administrator must be told of: noted where it happens, told by the work loop, once an hour at most."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import F, Q

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
    """Mail what is new, or still goes on after an hour, to every administrator; returns how many alerts."""
    told = list(_to_tell(now))
    to = list(User.objects.filter(is_superuser=True, is_active=True).exclude(email="").values_list("email", flat=True))
    if told and to:
        lines = [
            f"{alert.name}: {alert.detail} ({alert.count} times since {alert.first_at:%F %T} UTC)" for alert in told
        ]
        text = "\n\n".join([*lines, "The admin shows all alerts; docs/operations.md says what to do about each."])
        send_mail("Directors Palette needs you", text, settings.DEFAULT_FROM_EMAIL, to, fail_silently=True)
    return len(told)


def _to_tell(now: datetime) -> Iterator[Alert]:
    """Alerts that nobody was told of lately, each won by one process."""
    due = Q(told_at=None) | Q(told_at__lt=now - TOLD_AGAIN_AFTER, last_at__gt=F("told_at"))
    for alert in Alert.objects.filter(due, over_at=None):
        if Alert.objects.filter(due, pk=alert.pk).update(told_at=now):
            yield alert
