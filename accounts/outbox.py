"""What goes out by the webhook: notices and alerts in one form, each taken by one process at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts import alerts
from accounts.dispatch import Dispatch, by_webhook
from accounts.models import Alert, BudgetNotice
from accounts.moments import moment
from accounts.money import usd
from accounts.notices import NEWS_FOR, PROJECTION

MOST_AT_ONCE = 50


@dataclass(frozen=True)
class Message:
    """One message that waits. `id` is the same however often it is sent; `body` has no prompt, secret or e-mail."""

    id: str
    body: dict[str, Any]
    sending: Dispatch


def waiting(*, now: datetime) -> Iterator[Message]:
    """What is news and was not posted: alerts, which also come again each hour, then notices, the newest first."""
    for alert in Alert.objects.filter(alerts.due_again("posted_at", now=now), over_at=None):
        yield _of_alert(alert)
    news = BudgetNotice.objects.filter(posted_at=None, created_at__gt=now - NEWS_FOR).order_by("-id")
    for notice in news[:MOST_AT_ONCE]:
        yield _of_notice(notice)


def _of_alert(alert: Alert) -> Message:
    # The same until it is posted, and another when it comes again an hour later.
    times = "_".join(f"{at:%Y%m%dT%H%M%S%f}" for at in (alert.first_at, alert.posted_at) if at)
    data = {"name": alert.name, "detail": alert.detail, "count": alert.count}
    data |= {"firstAt": moment(alert.first_at), "lastAt": moment(alert.last_at)}
    return _message(f"alert_{alert.name}_{times}", "alert", alert.last_at, data, alert)


def _of_notice(notice: BudgetNotice) -> Message:
    figure = usd if notice.unit == "usd" else int
    data = {
        "scope": notice.scope,
        "period": notice.period,
        "startsOn": notice.starts_on.isoformat(),
        "unit": notice.unit,
        "limit": figure(notice.limit),
        "detail": notice.detail,
    }
    if notice.threshold == PROJECTION:
        return _message(
            f"notice_{notice.pk}",
            "budget.projection",
            notice.created_at,
            data | {"projected": figure(notice.used)},
            notice,
        )
    data |= {"threshold": notice.threshold, "used": figure(notice.used)}
    return _message(f"notice_{notice.pk}", "budget.threshold", notice.created_at, data, notice)


def _message(id: str, type: str, at: datetime, data: dict[str, Any], row: Alert | BudgetNotice) -> Message:
    body = {"type": type, "timestamp": moment(at), "data": data}
    return Message(id, body, by_webhook(row))
