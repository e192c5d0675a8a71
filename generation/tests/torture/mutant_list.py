"""The guards whose loss a row of the fault matrix must notice."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Mutant:
    """`old` stands once in `file`; with `new` in its place the test must fail."""

    name: str
    file: str
    old: str
    new: str
    row: str
    test: str


MUTANTS: Final = (
    Mutant(
        "status guard of every move",
        "generation/lifecycle/rows.py",
        "rows = Prediction.objects.filter(pk=prediction.pk, status__in=ALLOWED_FROM[target])",
        "rows = Prediction.objects.filter(pk=prediction.pk)",
        "F17",
        "test_hearing.py",
    ),
    Mutant(
        "lease token when an output is entered",
        "generation/work/store.py",
        "ours = Output.objects.filter(pk=output.pk, lease_token=output.lease_token, state=Output.State.WAITING)",
        "ours = Output.objects.filter(pk=output.pk)",
        "F55",
        "test_workers.py::TestAFrozenWorker",
    ),
    Mutant(
        "last look at the lease before sending",
        "generation/work/submit.py",
        "    if not renew(prediction):\n        # This process slept",
        "    if False:\n        # This process slept",
        "F55",
        "test_workers.py::TestAFrozenWorker::test_that_wakes_after_the_verdict_sends_nothing",
    ),
    Mutant(
        "unique delivery id",
        "generation/webhooks/inbox.py",
        "    if kept is None:\n        return",
        "    if kept is None:\n        kept = WebhookDelivery.objects.get(webhook_id=delivery.webhook_id)",
        "F15",
        "test_knocking.py",
    ),
    Mutant(
        "doubt: never sent again",
        "generation/work/choose.py",
        "Prediction.objects.filter(status=Status.QUEUED, submitted_at=None, provider=settings.PROVIDER)",
        "Prediction.objects.filter(status=Status.QUEUED, provider=settings.PROVIDER)",
        "F06",
        "test_sending.py::TestALostAnswer",
    ),
    Mutant(
        "commit of submitted_at before the request leaves",
        "generation/work/submit.py",
        "submitted_at=now, fingerprint=fingerprint, sent_input=sent, cancel_after_seconds=seconds",
        "fingerprint=fingerprint, sent_input=sent, cancel_after_seconds=seconds",
        "F05",
        "test_sending.py::TestAWorker",
    ),
    Mutant(
        "mark on the prediction",
        "generation/work/submit.py",
        "        ).update(submitted_at=now)\n        if not marked",
        "        ).update(progress=None)\n        if not marked",
        "F05",
        "test_sending.py::TestAWorker",
    ),
    Mutant(
        "deadline tells alike creates apart",
        "generation/work/submit.py",
        "seconds = SHORTEST_RUN + secrets.randbelow(LONGEST_RUN - SHORTEST_RUN)",
        "seconds = SHORTEST_RUN + len(sent)",
        "F06",
        "test_sending.py::TestALostAnswer::test_of_one_prompt_sent_twice_brings_both_pictures",
    ),
    Mutant(
        "no verdict before five minutes",
        "generation/work/doubt.py",
        "verdict_due = now - sent_at >= VERDICT_AFTER",
        "verdict_due = True",
        "F06",
        "test_sending.py::TestALostAnswer::test_of_a_create_that_never_arrived_ends_after_five_minutes",
    ),
    Mutant(
        "500, 502 and 504 are doubted",
        "generation/work/submit.py",
        "UNCERTAIN = frozenset({500, 502, 504})",
        "UNCERTAIN: frozenset[int] = frozenset()",
        "F09",
        "test_refusals.py::TestAServerError",
    ),
    Mutant(
        "door closes for everybody",
        "generation/lifecycle/asking.py",
        'CLOSING_REASONS = frozenset({"unauthenticated", "no_credit", "unavailable"})',
        "CLOSING_REASONS: frozenset[str] = frozenset()",
        "F11",
        "test_refusals.py::TestTheDoor",
    ),
    Mutant(
        "idempotency key",
        "generation/lifecycle/asking.py",
        "idempotency_key=idempotency_key or None,\n        request_digest",
        "idempotency_key=None,\n        request_digest",
        "F03",
        "test_sending.py::TestTheSameRequest",
    ),
    Mutant(
        "one end in the ledger",
        "accounts/quotas.py",
        "        if not _enter_outcome(entry):\n            return False\n        for period_id in held.periods:\n"
        "            QuotaPeriod.objects.filter(pk=period_id).update(\n"
        '                reserved_count=F("reserved_count") - held.count,\n'
        '                reserved_micros=F("reserved_micros") - held.amount_micros,\n'
        '                settled_count=F("settled_count") + entry.count,',
        "        if not _enter_outcome(entry):\n            return False\n        for period_id in held.periods:\n"
        "            QuotaPeriod.objects.filter(pk=period_id).update(\n"
        '                reserved_micros=F("reserved_micros") - held.amount_micros,\n'
        '                settled_count=F("settled_count") + entry.count,',
        "F05",
        "test_sending.py::TestAWorker",
    ),
    Mutant(
        "money back for what was never made",
        "generation/lifecycle/ending.py",
        "        quotas.release(reference=attempt.pk, reason=errors.sentence(code), now=now)\n",
        "",
        "F06",
        "test_sending.py::TestALostAnswer::test_of_a_create_that_never_arrived_ends_after_five_minutes",
    ),
    Mutant(
        "found later is booked",
        "generation/lifecycle/hearing.py",
        '    quotas.correct(reference=attempt.pk, amount_micros=cost, count=1, reason="Found later", now=now)\n',
        "",
        "F06",
        "test_sending.py::TestALostAnswer::test_whose_prediction_shows_up_after_the_verdict_is_found_later",
    ),
    Mutant(
        "lateness by the provider's clock",
        "generation/work/refresh.py",
        "return provider.now() - deadline if deadline else timedelta()",
        "return timezone.now() - deadline if deadline else timedelta()",
        "F58",
        "test_workers.py::TestAClock",
    ),
    Mutant(
        "a fifth death sets aside",
        "gallery/leases.py",
        "MOST_CLAIMS = 5",
        "MOST_CLAIMS = 500",
        "F56",
        "test_workers.py::TestARowThatKills",
    ),
    Mutant(
        "a worker that stops hands back",
        "generation/work/loop.py",
        "            if future.cancel():\n                _hand_back_quietly(row)",
        "            future.cancel()",
        "F55",
        "test_workers.py::TestAStop",
    ),
    Mutant(
        "signature",
        "generation/webhooks/signature.py",
        "    if any(_signed_by(secret, body, given) for secret in secrets):",
        "    if given:",
        "F20",
        "test_knocking.py::TestAForgery::test_of_any_kind_is_refused_and_not_kept",
    ),
    Mutant(
        "five minutes both ways",
        "generation/webhooks/signature.py",
        "        raise OutOfTime(seconds)",
        '        return given["webhook-id"]',
        "F21",
        "test_knocking.py::TestARepeat",
    ),
    Mutant(
        "address token",
        "generation/webhooks/inbox.py",
        "return next((attempt for attempt in sent if compare_digest(attempt.address_token.encode(), token)), None)",
        "return next((attempt for attempt in sent if token or compare_digest(b'', b'')), None)",
        "F24",
        "test_hearing.py::TestADeliveryNobodyAskedFor",
    ),
    Mutant(
        "oldest expiring first",
        "generation/work/store.py",
        'return claim(rows, limit=limit, order_by=(rank, "expires_at"))',
        'return claim(rows, limit=limit, order_by=("-expires_at",))',
        "F29",
        "test_polling.py::TestAnEndpointThatIsDown::test_leaves_first_to_be_stored_what_expires_first",
    ),
    Mutant(
        "whole files only",
        "gallery/fetcher.py",
        "    if door.expired or (length.isascii() and length.isdigit() and int(length) != size):",
        "    if door.expired:",
        "F35",
        "test_fetching_outputs.py::TestAFileThatIsCutShort",
    ),
    Mutant(
        "hosts that files may come from",
        "gallery/fetcher.py",
        "        elif self.allowed_hosts is not None and not any(_matches(host, port, entry) for entry in listed):",
        "        elif self.allowed_hosts is None:",
        "F37",
        "test_hostile_outputs.py::TestARedirect",
    ),
    Mutant(
        "closing door",
        "generation/lifecycle/asking.py",
        ".filter(expires_at__lt=now + LEAST_TIME_TO_STORE).exists()",
        ".none().exists()",
        "F43",
        "test_keeping.py::TestAStoreThatIsAway::test_delays_and_loses_nothing",
    ),
    Mutant(
        "count limit inside the UPDATE",
        "accounts/quotas.py",
        '        room = room.filter(reserved_count__lte=Value(guard.count_limit - 1) - F("settled_count"))',
        "        pass",
        "F51",
        "test_databases.py::TestManyWriters::test_against_room_for_ten_are_ten",
    ),
    Mutant(
        "two more attempts at most",
        "generation/lifecycle/hearing.py",
        "attempt.number >= MOST_ATTEMPTS or",
        "attempt.number >= 1 or",
        "random",
        "test_polling.py::TestAStaleRead::test_of_an_attempt_that_has_failed_does_not_move_the_next",
    ),
    Mutant(
        "asked once more before it is given up",
        "generation/work/refresh.py",
        '    now, provider_id = timezone.now(), attempt.provider_id or ""\n    try:',
        '    now, provider_id = timezone.now(), attempt.provider_id or ""\n'
        "    if attempt.deadline_at and now - attempt.deadline_at > lifecycle.RETENTION:\n"
        '        lifecycle.abandon(prediction=prediction, code="timed_out", now=now)\n        return\n    try:',
        "F31",
        "test_polling.py::TestARunThatNeverEnds::test_while_nobody_looked_for_two_hours_is_asked_for_before_it_is_given_up",
    ),
)
