"""News told to people: alerts and budget notices by mail and by the webhook, and again later where that failed."""

import json
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from standardwebhooks import Webhook

from accounts import alerts, notice_mail, outbox
from accounts.mail import MailUnsent
from gallery import fetcher
from generation.work.connections import let_go

log = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(minutes=5)
POST_SECONDS = 10.0
# What is left after so long waits for the next round: other chores wait too.
ROUND_SECONDS = 20.0
# Answers that say "later"; every other 4xx is about that one message.
LATER = {408, 425, 429}


class Unposted(Exception):
    """The receiver was not reached, or did not take the message; it may take others when it is `choosy`."""

    def __init__(self, detail: str, *, choosy: bool = False) -> None:
        super().__init__(detail)
        self.choosy = choosy


@dataclass
class Way:
    """One way of telling, left alone for a while after failures in a row, twice as long after each."""

    alert: str
    failures: int = 0
    closed_until: datetime | None = None

    def is_open(self, *, now: datetime) -> bool:
        return self.closed_until is None or self.closed_until <= now

    def failed(self, detail: str, *, now: datetime) -> None:
        """Told to administrators by the other way."""
        self.closed_until = now + min(FIRST_PAUSE * 2**self.failures, LONGEST_PAUSE)
        self.failures = min(self.failures + 1, 10)
        alerts.note(self.alert, detail, now=now)

    def worked(self, *, now: datetime) -> None:
        self.failures, self.closed_until = 0, None
        alerts.over(self.alert, now=now)


MAIL = Way("mail_failed")
WEBHOOK = Way("alert_webhook_failed")


def tell(*, now: datetime) -> None:
    """Whatever is news goes out by each way that is open."""
    if MAIL.is_open(now=now):
        _send_mail(now)
    if settings.ALERT_WEBHOOK_URL and WEBHOOK.is_open(now=now):
        _post(now)


def _send_mail(now: datetime) -> None:
    try:
        if alerts.tell(now=now) + notice_mail.send(now=now):
            MAIL.worked(now=now)
    except MailUnsent as error:
        MAIL.failed(f"Mail could not be sent ({error}); it is tried again.", now=now)


def _post(now: datetime) -> None:
    """All that waits, until the round's time is over or the receiver is seen to be away."""
    ends_at = time.monotonic() + ROUND_SECONDS
    posted, failure = 0, ""
    for message in list(outbox.waiting(now=now)):
        if time.monotonic() > ends_at:
            break
        if not message.sending.take():
            continue
        try:
            _post_one(message, now)
        except Unposted as error:
            message.sending.put_back()
            failure = str(error)
            if not error.choosy:
                break
        except BaseException:
            message.sending.put_back()
            raise
        else:
            message.sending.enter(now=now)
            posted += 1
    if failure:
        WEBHOOK.failed(f"The address of ALERT_WEBHOOK_URL {failure}; it is tried again for a day.", now=now)
    elif posted:
        WEBHOOK.worked(now=now)


def _post_one(message: outbox.Message, now: datetime) -> None:
    """Signed as Standard Webhooks has it (https://www.standardwebhooks.com). Raises `Unposted`."""
    body = json.dumps(message.body, ensure_ascii=False)
    sent_at = now.astimezone(UTC)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(settings.ALERT_WEBHOOK_SECRET).sign(message.id, sent_at, body),
    }
    let_go()
    try:
        status = fetcher.post(
            url=settings.ALERT_WEBHOOK_URL, body=body.encode(), headers=headers, deadline_seconds=POST_SECONDS
        )
    except fetcher.FetchError as error:
        raise Unposted(f"was not reached ({error})") from error
    if not 200 <= status < 300:
        raise Unposted(f"answered {status}", choosy=400 <= status < 500 and status not in LATER)
