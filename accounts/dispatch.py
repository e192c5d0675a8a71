"""Who sends a message: one process at a time, and another when that one has died before it was sent.

What is sent is entered only afterwards. A process that dies in between leaves the message taken for a while, and then
it is sent again: at least once, and twice only if it died after the sending.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from accounts.models import Alert, BudgetNotice

# Longer than a mail server or a receiver is waited for.
TAKEN_FOR = timedelta(minutes=2)


@dataclass(frozen=True)
class Dispatch:
    """One message by one way: `sent` and `taken` are the columns that say when it was sent and until when it is taken.

    `sent_before` is what the row said when it was read. The database's clock tells how long it is taken.
    """

    rows: QuerySet[Any]
    sent: str
    taken: str
    sent_before: datetime | None

    def take(self) -> bool:
        """False when another process is at it, or has sent it."""
        free = Q(**{self.taken: None}) | Q(**{f"{self.taken}__lt": Now()})
        return self._unsent().filter(free).update(**{self.taken: Now() + TAKEN_FOR}) == 1

    def enter(self, *, now: datetime) -> None:
        """It is sent. What has become new again meanwhile stays so."""
        self._unsent().update(**{self.sent: now, self.taken: None})

    def put_back(self) -> None:
        """It was not sent, and anybody may try."""
        self._unsent().update(**{self.taken: None})

    def _unsent(self) -> QuerySet[Any]:
        return self.rows.filter(**{self.sent: self.sent_before})


def by_mail(row: Alert | BudgetNotice) -> Dispatch:
    """The sending of `row` by mail."""
    return _dispatch(row, "told" if isinstance(row, Alert) else "mailed")


def by_webhook(row: Alert | BudgetNotice) -> Dispatch:
    """The sending of `row` by the webhook."""
    return _dispatch(row, "posted")


def _dispatch(row: Alert | BudgetNotice, way: str) -> Dispatch:
    rows = row.__class__.objects.filter(pk=row.pk)
    return Dispatch(rows, f"{way}_at", f"{way}_taken_until", getattr(row, f"{way}_at"))
