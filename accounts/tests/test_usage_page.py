"""The usage page and its CSV, for their owner alone."""

import csv
import io
import re
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import quotas
from accounts.models import LedgerEntry, User
from accounts.tests.factories import NOON, hold, make_user
from accounts.web.charts import ceiling, spend_chart
from accounts.web.ledger import safe_cells
from accounts.web.usage import PAGE_SIZE


@pytest.mark.django_db
class TestUsagePage:
    def test_shows_limits_spend_and_ledger(self, client: Client) -> None:
        user, now = make_user(), timezone.now()
        entry = hold(user, provider="sandbox", now=now)
        quotas.settle(reference=entry.reference, amount_micros=39_000, estimated=True, end="succeeded", now=now)
        client.force_login(user)

        page = client.get("/usage/").content.decode()

        assert "of $5.00" in page
        assert "of 1,500" in page
        assert "Charge, estimated" in page
        assert "−$0.039" in page
        assert "nano-banana" in page
        assert " style=" not in page

    def test_teaches_when_there_is_nothing(self, client: Client) -> None:
        client.force_login(make_user())

        assert "Nothing yet." in client.get("/usage/").content.decode()

    def test_belongs_to_its_owner(self, client: Client) -> None:
        hold(make_user("ines"), provider="sandbox", now=timezone.now(), model="bytedance/secret-model")

        assert client.get("/usage/").status_code == 302
        client.force_login(make_user("rui"))
        assert "secret-model" not in client.get("/usage/").content.decode()

    def test_pages_and_filters_by_the_address(self, client: Client) -> None:
        user, now = make_user(), timezone.now()
        for _ in range(PAGE_SIZE + 2):
            hold(user, 1, provider="sandbox", now=now)
        last = hold(user, 1, provider="sandbox", now=now, model="bytedance/seedance-1-lite")
        quotas.release(reference=last.reference, reason="failed at the provider", end="failed", now=now)
        client.force_login(user)

        page = client.get("/usage/").content.decode()
        older = re.search(r"before=\d+", page)

        assert older is not None
        assert client.get(f"/usage/?{older[0]}").content.decode().count("<time ") == 4
        assert client.get("/usage/?entry=released").content.decode().count("<time ") == 1
        assert client.get("/usage/?model=bytedance/seedance-1-lite").content.decode().count("<time ") == 2

    @pytest.mark.parametrize(
        "query",
        ["before=x", "before=9" * 30, "entry=zzz", "model=" + "x" * 900, "from=x", "to=20260716", "from=9999-99-99"],
    )
    def test_survives_any_query(self, client: Client, query: str) -> None:
        client.force_login(make_user())

        assert client.get(f"/usage/?{query}").status_code == 200

    def test_escapes_what_it_lists(self, client: Client) -> None:
        user = make_user()
        hold(user, provider="sandbox", now=timezone.now(), model="x/<script>alert(1)</script>")
        client.force_login(user)

        assert "<script>alert" not in client.get("/usage/").content.decode()


@pytest.mark.django_db
class TestLedgerCsv:
    def test_lists_every_entry_of_its_owner(self, client: Client) -> None:
        user, now = make_user(), timezone.now()
        hold(make_user("rui"), provider="sandbox", now=now)
        entry = hold(user, provider="sandbox", now=now)
        quotas.release(reference=entry.reference, reason='=HYPERLINK("http://evil")', end="failed", now=now)
        client.force_login(user)

        response = client.get("/usage/ledger.csv")
        rows = list(csv.DictReader(io.StringIO(response.content.decode())))

        assert response["Content-Disposition"] == 'attachment; filename="ledger.csv"'
        assert [row["entry"] for row in rows] == ["Hold released", "Hold"]
        assert rows[0]["reason"] == '\'=HYPERLINK("http://evil")'
        assert rows[1]["amount_usd"] == "0.039"

    def test_sends_strangers_to_the_door(self, client: Client) -> None:
        assert client.get("/usage/ledger.csv").status_code == 302


@pytest.mark.django_db
class TestDays:
    """`from` and `to`: days that an amount counts to, both included."""

    @pytest.fixture
    def client(self, client: Client) -> Client:
        user = make_user()
        for day in (14, 15, 16):
            entry = hold(user, day, provider="sandbox", now=NOON.replace(day=day), model=f"m/{day}")
            # Its end comes a day later, and belongs to the day of the hold all the same.
            later = NOON.replace(day=day + 1)
            quotas.settle(reference=entry.reference, amount_micros=day, estimated=False, end="succeeded", now=later)
        client.force_login(user)
        return client

    @pytest.mark.parametrize(
        ("query", "days"),
        [
            ("from=2026-07-15", {"15", "16"}),
            ("to=2026-07-15", {"14", "15"}),
            ("from=2026-07-15&to=2026-07-15", {"15"}),
            ("from=&to=", {"14", "15", "16"}),
            ("from=2026-07-15&entry=charges&model=m/16", {"16"}),
        ],
    )
    def test_choose_on_the_page_and_in_the_file(self, client: Client, query: str, days: set[str]) -> None:
        page = client.get(f"/usage/?{query}")
        rows = list(csv.DictReader(io.StringIO(client.get(f"/usage/ledger.csv?{query}").content.decode())))

        assert {entry.model.removeprefix("m/") for entry, *_ in page.context["entries"]} == days
        assert {row["booked_on"][-2:] for row in rows} == days
        assert len(page.context["entries"]) == len(rows)

    @pytest.mark.parametrize(
        ("query", "says"),
        [
            ("from=yesterday", "“yesterday” is not a day."),
            ("to=2026-02-30", "“2026-02-30” is not a day."),
            ("from=2026-07-16&to=2026-07-15", "The range ends before it begins."),
        ],
    )
    def test_that_are_none_leave_nothing_out_in_silence(self, client: Client, query: str, says: str) -> None:
        page = client.get(f"/usage/?{query}").content.decode()

        assert says in page and page.count("<time ") == 6
        assert client.get(f"/usage/ledger.csv?{query}")["Location"] == f"/usage/?{query}#ledger-h"

    def test_stay_in_every_link(self, client: Client) -> None:
        page = client.get("/usage/?from=2026-07-15&model=m/16").content.decode()

        assert 'href="?from=2026-07-15&amp;model=m%2F16&amp;entry=holds#ledger-h"' in page
        assert 'href="/usage/ledger.csv?from=2026-07-15&amp;model=m%2F16"' in page

    def test_are_told_where_an_entry_counts_to_another(self, client: Client) -> None:
        assert "counts to 16 July" in client.get("/usage/").content.decode()


@pytest.mark.django_db
class TestWords:
    def entries(self, client: Client) -> list[tuple[str, str, str]]:
        return [(word, note, amount) for _, word, note, amount in client.get("/usage/").context["entries"]]

    @pytest.fixture
    def user(self, client: Client) -> User:
        user = make_user()
        client.force_login(user)
        return user

    def settle(self, user: User, *, end: str, estimated: bool = False) -> LedgerEntry:
        entry = hold(user, provider="sandbox", now=NOON)
        quotas.settle(reference=entry.reference, amount_micros=39_000, estimated=estimated, end=end, now=NOON)
        return entry

    def test_of_a_file_that_was_lost(self, client: Client, user: User) -> None:
        entry = self.settle(user, end="succeeded")
        reason = "Charged, and the files could not be saved in time"
        quotas.relabel(reference=entry.reference, end="lost", reason=reason, now=NOON)

        assert self.entries(client)[:2] == [("Files lost", reason, ""), ("Charge", "", "−$0.039")]

    def test_of_a_charge_for_what_did_not_come_out(self, client: Client, user: User) -> None:
        self.settle(user, end="canceled", estimated=True)
        self.settle(user, end="failed")

        assert [word for word, *_ in self.entries(client)][::2] == [
            "Charge, no file came",
            "Charge, canceled, estimated",
        ]

    def test_of_what_is_tried_again(self, client: Client, user: User) -> None:
        entry = hold(user, provider="sandbox", now=NOON)
        quotas.transfer(reference=entry.reference, to=uuid.uuid4(), now=NOON)

        again = "Tried again after a fault of the provider’s"
        assert self.entries(client)[:2] == [("Hold", again, "−$0.039"), ("Hold passed on", again, "+$0.039")]

    def test_of_how_a_month_ended(self, client: Client, user: User) -> None:
        now = timezone.now()
        for end in ("failed", "failed", "aborted"):
            entry = hold(user, provider="sandbox", now=now)
            quotas.release(reference=entry.reference, reason="", end=end, now=now)
        for end in ("succeeded", "lost", "failed"):
            entry = hold(user, provider="sandbox", now=now)
            quotas.settle(reference=entry.reference, amount_micros=39_000, estimated=end == "lost", end=end, now=now)

        assert client.get("/usage/").context["ends"] == [
            "1 succeeded, charged $0.039",
            "1 made, and lost before the files were saved, charged $0.039",
            "3 failed, 1 of them charged $0.039",
            "1 not started in time, not charged",
        ]
        assert "$0.039 of it is estimated" in client.get("/usage/").content.decode()


class TestSafeCells:
    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
    def test_quotes_what_a_spreadsheet_would_run(self, start: str) -> None:
        assert safe_cells([f"{start}1+cmd"]) == [f"'{start}1+cmd"]

    def test_leaves_numbers_alone(self) -> None:
        assert safe_cells(["-0.009", "0.15", "text"]) == ["-0.009", "0.15", "text"]


class TestSpendChart:
    def test_draws_the_limit_while_it_fits(self) -> None:
        today = timezone.now().date().replace(day=2)
        days = [(today - timedelta(days=1), 1_000_000), (today, 2_000_000)]

        near = spend_chart(days, today=today, limit=5_000_000)
        far = spend_chart(days, today=today, limit=500_000_000)

        assert near.cap == 0
        assert [bar.height for bar in near.bars] == [20, 40]
        assert far.cap is None
        assert [bar.today for bar in far.bars] == [False, True]

    def test_stands_empty_months(self) -> None:
        today = timezone.now().date().replace(day=1)

        assert spend_chart([(today, 0)], today=today, limit=None).bars[0].height == 0

    @pytest.mark.parametrize(("micros", "top"), [(0, 100_000), (130_000, 200_000), (4_100_000, 5_000_000)])
    def test_ends_at_a_round_amount(self, micros: int, top: int) -> None:
        assert ceiling(micros) == top


@pytest.mark.django_db
class TestSpendByModel:
    def test_counts_what_was_booked_to_this_month(self, client: Client) -> None:
        user, now = make_user(), timezone.now()
        before = now.replace(day=1) - timedelta(days=2)
        for moment in (before, now):
            entry = hold(user, provider="sandbox", now=moment)
            quotas.settle(reference=entry.reference, amount_micros=39_000, estimated=False, end="succeeded", now=now)
        quotas.correct(reference=entry.reference, amount_micros=-9_000, count=0, reason="refund", now=now)
        client.force_login(user)

        models = client.get("/usage/").context["models"]

        assert [(found.count, found.micros) for found, _ in models] == [(1, 30_000)]
        assert LedgerEntry.objects.count() == 5
