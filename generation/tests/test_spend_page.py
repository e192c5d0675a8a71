"""The Spend page of the admin and its CSV: equal to the ledger, for those who may look, whatever the address asks."""

import csv
import io
import random
import re
import uuid
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest
from django.conf import settings as configured
from django.contrib.auth.models import Permission
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts import quotas
from accounts.models import DailySpend, LedgerEntry, LimitIncrease, User
from accounts.spend import MOST_LINES, Total, spend
from accounts.spend_choice import Choice, month, read_choice
from generation.models import Pause, Prediction, ProviderState, WebhookDelivery
from generation.oversight import overview
from generation.tests.making import make_prediction, make_sent, make_user

pytestmark = pytest.mark.django_db
PAGE = f"/{configured.ADMIN_PATH}accounts/dailyspend/"
CSV = f"{PAGE}csv/"
MODELS = ("google/nano-banana", "black-forest-labs/flux-schnell", "bytedance/seedance-1-lite")
NOON = datetime(2026, 7, 16, 12, tzinfo=UTC)


@pytest.fixture
def administrator(client: Client) -> User:
    """Signed in on `client`."""
    user = User.objects.create_superuser("root", "root@example.org", "correct horse")
    client.force_login(user)
    return user


def ended(
    user: User, *, micros: int = 39_000, end: str = "succeeded", now: datetime, model: str = MODELS[0]
) -> LedgerEntry:
    """One run that was asked for and ended at `now`; what did not cost anything was released."""
    held, _ = quotas.reserve(
        user=user, reference=uuid.uuid4(), amount_micros=micros, provider="sandbox", model=model, now=now
    )
    if micros:
        quotas.settle(reference=held.reference, amount_micros=micros, estimated=False, end=end, now=now)
    else:
        quotas.release(reference=held.reference, reason="Failed", end=end, now=now)
    return held


def chosen(query: str = "", *, now: datetime = NOON) -> Choice:
    """The choice of an address's query string."""
    return read_choice(QueryDict(query), provider="sandbox", now=now)[0]


class TestSpend:
    def test_equals_the_ledger_however_it_is_cut(self) -> None:
        draw = random.Random(7)
        users = [make_user(username=f"u{n}", daily_micros_limit=None, daily_count_limit=None) for n in range(4)]
        for user in users:
            for _ in range(12):
                end = draw.choice(["succeeded", "succeeded", "lost", "failed", "canceled", "aborted"])
                micros = draw.randrange(1, 90_000) if end in ("succeeded", "lost", "canceled") else 0
                now = NOON - timedelta(days=draw.randrange(12))
                held = ended(user, micros=micros, end=end, now=now, model=draw.choice(MODELS))
                if draw.random() < 0.3:
                    change = draw.randrange(-500, 900)
                    quotas.correct(reference=held.reference, amount_micros=change, count=0, reason="later", now=now)

        found = spend(chosen(), now=NOON)
        everything, failed = by_reference()

        assert found.total.micros == sum(micros for *_, micros in everything)
        assert (found.total.ended, found.total.failed) == (len(everything), len(failed))
        assert found.total.failed_micros == sum(micros for *_, micros in failed)
        cuts: list[list[tuple[object, Total]]] = [
            [*found.days],
            [(line.name, line.total) for line in found.users],
            [(line.key, line.total) for line in found.models],
            [*found.ends],
        ]
        for place, lines in enumerate(cuts):
            truth: defaultdict[object, int] = defaultdict(int)
            for run in everything:
                truth[run[place]] += run[4]
            assert {key: total.micros for key, total in lines if total.ended} == dict(truth)
            assert sum((total for _, total in lines), Total()) == found.total

    def test_narrows_by_user_model_and_end(self) -> None:
        ines, marek = make_user(username="ines"), make_user(username="marek")
        ended(ines, micros=1_000, now=NOON)
        ended(ines, micros=0, end="failed", now=NOON, model=MODELS[1])
        ended(marek, micros=30_000, end="canceled", now=NOON)

        def micros_and_ended(query: str) -> tuple[int, int]:
            total = spend(chosen(query), now=NOON).total
            return total.micros, total.ended

        assert micros_and_ended("") == (31_000, 3)
        assert micros_and_ended(f"user={ines.pk}") == (1_000, 2)
        assert micros_and_ended(f"user={ines.pk}&end=failed") == (0, 1)
        assert micros_and_ended(f"model={MODELS[1]}") == (0, 1)
        assert micros_and_ended("end=canceled") == (30_000, 1)
        assert micros_and_ended("from=2026-07-17&to=2026-07-20") == (0, 0)

    def test_leaves_out_what_another_provider_has_cost(self) -> None:
        user = make_user()
        held, _ = quotas.reserve(
            user=user, reference=uuid.uuid4(), amount_micros=9, provider="replicate", model=MODELS[0], now=NOON
        )
        quotas.settle(reference=held.reference, amount_micros=9, estimated=False, end="succeeded", now=NOON)

        assert spend(chosen(), now=NOON).total == Total()

    def test_adds_up_those_who_have_no_line_of_their_own(self) -> None:
        for number in range(MOST_LINES + 3):
            ended(make_user(username=f"u{number:02}"), micros=1_000 + number, now=NOON)

        lines = spend(chosen(), now=NOON).users

        assert len(lines) == MOST_LINES + 1
        assert (lines[0].name, lines[-1].name) == ("u14", "All others")
        assert lines[-1].total.micros == 1_000 + 1_001 + 1_002

    def test_names_the_limit_that_binds_just_now(self) -> None:
        user = make_user(monthly_micros_limit=5_000_000)
        LimitIncrease.objects.create(
            user=user,
            unit="usd",
            period="month",
            amount=2_000_000,
            expires_at=NOON + timedelta(days=1),
            created_at=NOON,
            reason="a film",
        )
        ended(user, now=NOON)

        assert spend(chosen(), now=NOON).users[0].limit == 7_000_000
        assert spend(chosen(), now=NOON + timedelta(days=2)).users[0].limit == 5_000_000

    @pytest.mark.parametrize(
        ("query", "parts"),
        [
            ("month=2026-07", 1),
            ("from=2026-01-01&to=2026-12-31", 1),
            ("from=2026-04-11&to=2026-07-16", 3),
            ("from=2026-04-01&to=2026-07-16", 2),
            ("from=2026-04-30&to=2026-07-31", 2),
            ("from=2026-07-02&to=2026-07-30", 1),
            ("from=2026-06-20&to=2026-07-10", 1),
            ("from=2026-05-20&to=2026-07-10", 3),
        ],
    )
    def test_of_a_long_range_is_the_same_from_its_months(self, query: str, parts: int) -> None:
        draw = random.Random(7)
        users = [make_user(username=f"u{n}", daily_micros_limit=None, daily_count_limit=None) for n in range(3)]
        for number in range(60):
            end = draw.choice(["succeeded", "succeeded", "lost", "canceled"])
            now = NOON - timedelta(days=2 * number)
            ended(draw.choice(users), micros=draw.randrange(1, 90_000), end=end, now=now, model=draw.choice(MODELS))
        choice = chosen(query)

        found = spend(choice, now=NOON)

        assert len(choice.parts()) == parts
        rows = list(choice.rows())
        assert found.total.micros == sum(row.micros for row in rows)
        assert found.total.ended == sum(row.ended for row in rows)
        said = {
            "user": {line.name: line.total.micros for line in found.users},
            "model": {line.name: line.total.micros for line in found.models},
            "end": {name: total.micros for name, total in found.ends if total.ended},
        }
        for column, lines in said.items():
            truth: defaultdict[str, int] = defaultdict(int)
            for row in rows:
                truth[str(getattr(row, column))] += row.micros
            assert lines == dict(truth)
        for day, total in found.days:
            same = [row for row in rows if (row.day.replace(day=1) if choice.by_month else row.day) == day]
            assert total.micros == sum(row.micros for row in same)

    def test_has_a_place_for_every_day_and_of_a_year_for_every_month(self) -> None:
        ended(make_user(), now=NOON)

        days, months = spend(chosen(), now=NOON), spend(chosen("from=2026-01-01&to=2026-12-31"), now=NOON)

        assert [day for day, _ in days.days] == [date(2026, 7, n) for n in range(1, 32)]
        assert [day.month for day, _ in months.days] == list(range(1, 13))
        assert months.days[6][1].micros == 39_000


def by_reference() -> tuple[list[tuple[date, str, str, str, int]], list[tuple[date, str, str, str, int]]]:
    """Every run of the ledger as (day, user, model, end, micros), and those of them that did not succeed."""
    runs: dict[uuid.UUID, tuple[date, str, str, str, int]] = {}
    for entry in LedgerEntry.objects.exclude(end="").select_related("user").order_by("id"):
        assert entry.user is not None
        so_far = runs[entry.reference][4] if entry.reference in runs else 0
        micros = so_far + (0 if entry.kind == "release" else entry.amount_micros)
        runs[entry.reference] = (entry.booked_on, entry.user.username, entry.model, entry.end, micros)
    return list(runs.values()), [run for run in runs.values() if run[3] != "succeeded"]


class TestReadChoice:
    def test_is_this_month_when_nothing_is_asked(self) -> None:
        assert chosen() == Choice(date(2026, 7, 1), date(2026, 7, 31), "sandbox")

    @pytest.mark.parametrize(
        ("query", "first", "last"),
        [
            ("month=2026-02", date(2026, 2, 1), date(2026, 2, 28)),
            ("from=2026-07-03", date(2026, 7, 3), date(2026, 7, 31)),
            ("to=2026-05-03", date(2026, 5, 3), date(2026, 5, 3)),
            ("from=2026-07-09&to=2026-07-03", date(2026, 7, 3), date(2026, 7, 9)),
        ],
    )
    def test_reads_days(self, query: str, first: date, last: date) -> None:
        assert (chosen(query).first, chosen(query).last) == (first, last)

    def test_is_read_back_from_its_own_address(self) -> None:
        whole = chosen("month=2026-02&model=x/ä%26b&user=7&end=lost")
        part = chosen("from=2026-02-03&to=2026-02-09")

        assert chosen(whole.address()[1:]) == whole
        assert chosen(part.address()[1:]) == part
        assert chosen(part.address(**month(part.first), end="failed")[1:]).end == "failed"

    @pytest.mark.parametrize(
        "query",
        [
            "month=2026-13",
            "month=0000-01",
            "month=9999-12",
            "month=x",
            "from=2026-02-30",
            "to=9999-12-31",
            "from=1969-01-01",
            "user=abc",
            "user=-1",
            "user=" + "9" * 40,
            "user=²",
            "end=exploded",
            "from=1990-01-01&to=2026-01-01",
        ],
    )
    def test_says_what_it_left_out(self, query: str, client: Client, administrator: User) -> None:
        answer = client.get(f"{PAGE}?{query}")

        assert answer.status_code == 200
        assert 'role="status"' in answer.content.decode()
        assert client.get(f"{CSV}?{query}").status_code == 200

    @pytest.mark.parametrize(
        "query", ["model=" + "x" * 900, "model=%3Cscript%3E", "month=", "end=&user=", "a[]=1", "month=2031-01"]
    )
    def test_survives_any_other(self, query: str, client: Client, administrator: User) -> None:
        answer = client.get(f"{PAGE}?{query}")

        assert answer.status_code == 200
        assert 'role="status"' not in answer.content.decode()
        assert "<script>" not in answer.content.decode()


class TestSpendPage:
    def test_shows_the_same_numbers_in_drawings_and_tables(self, client: Client, administrator: User) -> None:
        now = timezone.now()
        ines = make_user(username="ines")
        ended(ines, micros=1_250_000, now=now)
        ended(ines, micros=250_000, end="canceled", now=now, model=MODELS[2])
        ended(ines, micros=0, end="failed", now=now)

        page = client.get(PAGE).content.decode()

        assert page.count("$1.50") >= 4
        assert "failures: 2 of 3, 66.7 %, cost $0.25" in page
        assert f'href="?month={now:%Y-%m}&amp;user={ines.pk}"' in page
        assert "simulated" in page
        assert " style=" not in page.partition('class="spend"')[2]
        assert "<script>" not in page

    def test_teaches_when_there_is_nothing(self, client: Client, administrator: User) -> None:
        assert "Nothing ended in these days" in client.get(PAGE).content.decode()
        assert "Nothing fits these filters" in client.get(f"{PAGE}?end=lost").content.decode()

    def test_holds_spend_against_the_budget(self, client: Client, administrator: User, settings: Settings) -> None:
        settings.PROVIDER = "replicate"
        settings.SITE_MONTHLY_USD_MICROS = 10_000_000
        now = timezone.now()
        held, _ = quotas.reserve(
            user=make_user(),
            reference=uuid.uuid4(),
            amount_micros=4_000_000,
            provider="replicate",
            model=MODELS[0],
            now=now,
        )
        # More than was held, so that the month ends above its budget on whatever day of it this runs.
        quotas.settle(reference=held.reference, amount_micros=12_000_000, estimated=False, end="succeeded", now=now)

        page = client.get(PAGE).content.decode()

        assert "of $10.00, 120 %" in page
        assert "over budget" in page
        assert "simulated" not in page

    def test_is_for_those_who_may_see_it(self, client: Client) -> None:
        staff = make_user(username="staff", is_staff=True)
        assert client.get(PAGE).status_code == 302

        client.force_login(make_user(username="creator"))
        assert client.get(PAGE).status_code == 302

        client.force_login(staff)
        assert client.get(PAGE).status_code == 403
        assert client.get(CSV).status_code == 403

        staff.user_permissions.add(Permission.objects.get(codename="view_dailyspend"))
        assert client.get(PAGE).status_code == 200
        assert client.get(CSV).status_code == 200
        assert client.post(PAGE).status_code == 405

    def test_leads_only_where_one_may_go(self, client: Client) -> None:
        staff = make_user(username="staff", is_staff=True)
        staff.user_permissions.add(Permission.objects.get(codename="view_dailyspend"))
        ended(staff, now=timezone.now())
        client.force_login(staff)

        assert "/accounts/user/" not in client.get(PAGE).content.decode()

    def test_is_listed_and_has_a_short_address(self, client: Client, administrator: User) -> None:
        assert f'href="{PAGE}"' in client.get(f"/{configured.ADMIN_PATH}").content.decode()
        answer = client.get(f"/{configured.ADMIN_PATH}spend/?end=lost")

        assert (answer.status_code, answer["Location"]) == (302, f"{PAGE}?end=lost")

    def test_asks_the_database_equally_often(self, client: Client, administrator: User) -> None:
        now = timezone.now()
        ended(make_user(), now=now)
        with CaptureQueriesContext(connection) as few:
            client.get(PAGE)
        for number in range(MOST_LINES + 4):
            user = make_user(username=f"u{number}")
            for model in MODELS:
                ended(user, now=now, model=model)
                ended(user, micros=0, end="failed", now=now - timedelta(days=number), model=model)
            make_prediction(user=user, now=now)

        with CaptureQueriesContext(connection) as many:
            client.get(PAGE)

        assert len(many) == len(few) <= 26

    def test_escapes_what_it_names(self, client: Client, administrator: User) -> None:
        ended(make_user(), now=timezone.now(), model="x/<script>alert(1)</script>")
        Pause.objects.create(target="everything", reason="<b>stop</b>", paused_at=timezone.now())

        page = client.get(PAGE).content.decode()

        assert "<script>alert" not in page
        assert "&lt;b&gt;stop" in page


class TestSpendCsv:
    def test_has_the_sums_that_the_filters_leave(self, client: Client, administrator: User) -> None:
        now = timezone.now()
        ines = make_user(username="ines")
        ended(ines, micros=1_250_000, now=now)
        ended(ines, micros=0, end="failed", now=now)

        answer = client.get(f"{CSV}?end=succeeded")
        rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))

        assert re.search(r'filename="spend-\d{4}-\d\d.csv"', answer["Content-Disposition"])
        assert len(rows) == 1
        assert rows[0]["user"] == "ines"
        assert (rows[0]["spent_usd"], rows[0]["ended"], rows[0]["charged"]) == ("1.25", "1", "1")

    def test_has_no_cell_that_a_spreadsheet_would_run(self, client: Client, administrator: User) -> None:
        user = make_user(username="ines")
        User.objects.filter(pk=user.pk).update(username="=1+1")
        ended(User.objects.get(pk=user.pk), now=timezone.now(), model="@evil/model")

        text = client.get(CSV).getvalue().decode()

        assert ",'=1+1," in text
        assert ",'@evil/model," in text

    def test_is_read_a_page_at_a_time(
        self, client: Client, administrator: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("generation.admin_spend.PAGE_ROWS", 2)
        for number in range(5):
            ended(make_user(username=f"u{number}"), now=timezone.now())

        rows = list(csv.reader(io.StringIO(client.get(CSV).getvalue().decode())))

        assert sorted(row[1] for row in rows[1:]) == [f"u{number}" for number in range(5)]
        assert DailySpend.objects.count() == 5


class TestOverview:
    def test_counts_what_is_under_way(self) -> None:
        now = timezone.now()
        user = make_user()
        make_prediction(user=user, now=now)
        prediction, _ = make_sent(user=user, now=now)
        Prediction.objects.filter(pk=prediction.pk).update(status="processing")

        seen = overview(now=now)

        assert (seen.queued, seen.running, seen.all_stuck) == (1, 1, 0)
        assert seen.waiting_since == now

    def test_says_what_is_stuck_and_why(self) -> None:
        now = timezone.now()
        user = make_user()
        late, _ = make_sent(user=user, now=now - timedelta(minutes=12), provider_id="late")
        dead, _ = make_sent(user=user, now=now, provider_id="dead")
        endless, _ = make_sent(user=user, now=now - timedelta(hours=1), provider_id="endless")
        Prediction.objects.filter(pk=late.pk).update(due_at=now - timedelta(minutes=11))
        Prediction.objects.filter(pk=dead.pk).update(quarantined_at=now)
        Prediction.objects.filter(pk=endless.pk).update(status="processing", due_at=now)

        seen = overview(now=now)

        assert {stuck.prediction.pk: stuck.why for stuck in seen.stuck} == {
            endless.pk: "the provider has not ended it 60 min after it was sent",
            late.pk: "nobody has attended to it for 11 min",
            dead.pk: "set aside: work on it has died again and again",
        }
        assert seen.all_stuck == 3

    def test_says_why_the_provider_takes_no_work(self) -> None:
        now = timezone.now()
        ProviderState.objects.create(
            provider="sandbox", closed_until=now + timedelta(minutes=1), closed_reason="no_credit", faults=1
        )

        door = overview(now=now).doors[0]

        assert not door.is_open
        assert door.why.startswith("no credit left; tried again at ")

    def test_tells_how_deliveries_were_taken(self) -> None:
        now = timezone.now()
        for number, outcome in enumerate(["applied", "applied", "unknown", ""]):
            WebhookDelivery.objects.create(webhook_id=str(number), received_at=now, body=b"{}", outcome=outcome)
        WebhookDelivery.objects.create(webhook_id="old", received_at=now - timedelta(days=2), body=b"{}")

        assert overview(now=now).webhooks.outcomes == {"applied": 2, "unknown": 1, "waiting": 1}

    def test_counts_a_delivery_that_nobody_applies_as_stuck(self) -> None:
        now = timezone.now()
        WebhookDelivery.objects.create(webhook_id="w", received_at=now, body=b"{}", due_at=now - timedelta(minutes=6))

        assert overview(now=now).set_aside == [("deliveries to be applied", 1)]
