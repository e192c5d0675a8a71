"""Statements that are put together once write and read what Django's own would."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Max, QuerySet
from django.db.models.functions import Now

from accounts import statements
from accounts.models import ApiToken, LedgerEntry, QuotaPeriod, User
from accounts.prepared import Prepared, condition_of
from accounts.statements import Sql, insert, insert_like, insert_new, read, update, updated
from accounts.tests.factories import NOON, hold, make_token, make_user

pytestmark = pytest.mark.django_db


def columns(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def entry(user: Any, **fields: Any) -> LedgerEntry:
    held = hold(user)
    made = LedgerEntry(**{name: value for name, value in columns(held).items() if name != "id"})
    made.reference, made.periods = uuid.uuid4(), [*held.periods, 7]
    for name, value in fields.items():
        setattr(made, name, value)
    return made


class TestWriting:
    def test_insert_writes_what_save_writes(self) -> None:
        row = entry(make_user())
        insert(row)

        assert columns(LedgerEntry.objects.get(pk=row.pk)) == columns(row)
        assert not row._state.adding

    def test_several_rows_are_inserted_in_order_and_something_is_asked_with_the_last(self) -> None:
        user = make_user()
        rows = [entry(user, amount_micros=number) for number in (3, 1, 2)]

        assert list(insert(*rows, asking=[Sql("UPPER(%s)", ["late"]), Sql("1 < %s", [2])])) == ["LATE", True]

        found = LedgerEntry.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk")
        assert [columns(one) for one in found] == [columns(row) for row in rows]

    def test_insert_like_copies_the_rest(self) -> None:
        row = entry(make_user(), estimated=True)
        insert(row)
        held = {"reference": row.reference, "kind": "reserve"}
        asked = Sql('(SELECT "amount_micros" FROM "accounts_ledgerentry" WHERE "id" = %s)', [row.pk])

        found = insert_like(LedgerEntry, held, asking=asked, kind="settle", amount_micros=1, estimated=False)

        assert found
        copy, amount = found
        assert amount == row.amount_micros
        changed = {"id": copy.pk, "kind": "settle", "amount_micros": 1, "estimated": False}
        assert columns(copy) == columns(row) | changed == columns(LedgerEntry.objects.get(pk=copy.pk))
        assert insert_like(LedgerEntry, held, asking=asked, kind="settle") is None
        assert insert_like(LedgerEntry, {"reference": uuid.uuid4()}, asking=asked, kind="settle") is None

    def test_insert_meets_a_constraint(self) -> None:
        row = entry(make_user())
        insert(row)

        with pytest.raises(IntegrityError), transaction.atomic():
            insert(entry(row.user, reference=row.reference))

    def test_insert_new_leaves_what_is_there(self) -> None:
        row = entry(make_user())

        assert insert_new(row)
        assert not insert_new(entry(row.user, reference=row.reference, amount_micros=1))
        assert LedgerEntry.objects.get(pk=row.pk).amount_micros == 39_000

    def test_insert_new_reads_back_what_the_database_made_of_it(self) -> None:
        row = entry(make_user())

        assert insert_new(row, computed={"reason": Sql("UPPER(%s)", ["late"])})
        assert row.reason == LedgerEntry.objects.get(pk=row.pk).reason == "LATE"

    def test_update_asks_for_values_nothing_one_of_several_and_later_than_now(self) -> None:
        ines, token = make_user(), make_token(make_user("olga"))
        update(ApiToken, {"pk": token.pk}, expires_at=NOON)

        assert update(ApiToken, {"user": token.user_id, "revoked_at": None}, name="a") == 1
        assert update(ApiToken, {"user_id": (ines.pk, token.user_id)}, name="b") == 1
        assert update(ApiToken, {"user_id": (ines.pk, 0)}, name="c") == 0
        assert update(ApiToken, {"pk": token.pk, "expires_at": Now()}, name="d") == 0
        assert update(ApiToken, {"pk": token.pk, "expires_at": Sql("IS NOT NULL")}, name="e", expires_at=None) == 1
        assert update(ApiToken, {"pk": token.pk}, also=Sql('"name" = %s', ["nobody"]), name="f") == 0

        found = ApiToken.objects.get(pk=token.pk)
        assert (found.name, found.expires_at) == ("e", None)

    def test_update_computes(self) -> None:
        hold(make_user())
        one_more = F("reserved_count") + 1

        for _ in range(2):
            update(QuotaPeriod, {"reserved_count": (1, 2)}, reserved_count=one_more)

        assert QuotaPeriod.objects.aggregate(most=Max("reserved_count"))["most"] == 3

    def test_updated_answers_with_the_rows_as_they_are_now(self) -> None:
        user = make_user()
        tokens = [make_token(user, name=name) for name in "ab"]

        found = updated(ApiToken, {"user": user.pk, "revoked_at": None}, expires_at=NOON)

        theirs = ApiToken.objects.filter(expires_at=NOON).in_bulk()
        assert {one.pk: columns(one) for one in found} == {key: columns(one) for key, one in theirs.items()}
        assert set(theirs) == {token.pk for token in tokens}
        assert updated(ApiToken, {"user": user.pk, "expires_at": None}, name="c") == []


class TestReading:
    def test_reads_what_the_manager_reads(self) -> None:
        token = make_token(make_user(), daily_count_limit=3)
        ApiToken.objects.filter(pk=token.pk).update(expires_at=NOON)

        [found] = read(ApiToken, {"digest": token.digest}, joined="user")

        theirs = ApiToken.objects.select_related("user").get(pk=token.pk)
        assert columns(found) == columns(theirs)
        with connection.execute_wrapper(lambda *_: pytest.fail("asked again")):
            assert columns(found.user) == columns(theirs.user)

    def test_reads_numbers_lists_and_names_in_order(self) -> None:
        user = make_user()
        first, second = hold(user), hold(user)

        newest, oldest = read(LedgerEntry, {"user": user.pk}, order_by="-pk", lock="no_key")

        assert [columns(oldest), columns(newest)] == [columns(one) for one in LedgerEntry.objects.order_by("pk")]
        assert [one.pk for one in read(LedgerEntry, {"user": user.pk}, order_by="pk", limit=1)] == [first.pk]
        assert [one.pk for one in read(LedgerEntry, {"pk": second.pk})] == [second.pk]

    def test_all_rows(self) -> None:
        make_user()

        assert [one.username for one in read(User, {})] == ["ines"]

    def test_a_condition_is_the_querys_own(self) -> None:
        make_user()
        named = condition_of(User.objects.filter(username="ines").exclude(email=""))

        assert update(User, {"is_staff": False}, also=named, last_name="Ferreira") == 1


class TestPrepared:
    def test_answers_like_the_query(self) -> None:
        def build(*, name: str, since: Any, most: int) -> QuerySet[ApiToken, Any]:
            rows = ApiToken.objects.filter(
                user__username=name, created_at__gte=since, user__last_frame_number__lte=most
            )
            return rows.values("id", "created_at", "scopes", owner=F("user__email"))

        prepared = Prepared(build, name=str, since=type(NOON), most=int)
        make_token(make_user())
        for name, since in (("ines", NOON), ("ines", NOON + timedelta(days=1)), ("olga", NOON)):
            assert prepared(name=name, since=since, most=5) == list(build(name=name, since=since, most=5))

    def test_knows_a_row_by_its_uuid(self) -> None:
        prepared = Prepared(lambda pk: ApiToken.objects.filter(pk=pk).values("user__username"), pk=uuid.UUID)
        token = make_token(make_user())

        assert prepared(pk=token.pk) == [{"user__username": "ines"}]
        assert prepared(pk=uuid.uuid4()) == []

    def test_a_value_that_is_only_a_part_of_another_is_refused(self) -> None:
        prepared = Prepared(
            lambda moment: User.objects.filter(date_joined__gt=moment + timedelta(days=1)).values("pk"),
            moment=type(NOON),
        )

        with pytest.raises(ValueError, match="no place of its own"):
            prepared(moment=NOON)

    def test_a_value_that_is_asked_for_nowhere_is_refused(self) -> None:
        prepared = Prepared(lambda name: User.objects.values("pk"), name=str)

        with pytest.raises(ValueError, match="no place"):
            prepared(name="ines")


def test_each_is_put_together_once() -> None:
    make_user()
    statements._update.cache_clear()

    for number in range(5):
        update(User, {"username": "ines"}, last_name=str(number))

    assert statements._update.cache_info().misses == 1
