"""The ledger as its owner reads it: which entries an address asks for, and each in words and as a row of CSV."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop

from accounts import reports
from accounts.models import LedgerEntry, User
from accounts.money import dollars, usd
from accounts.periods import zone

Kind = LedgerEntry.Kind
FILTERS: dict[str, tuple[str, list[str]]] = {
    "all": (gettext_noop("All"), list(Kind.values)),
    "charges": (gettext_noop("Charges"), [Kind.SETTLE, Kind.CORRECT]),
    "holds": (gettext_noop("Holds"), [Kind.RESERVE]),
    "released": (gettext_noop("Released"), [Kind.RELEASE]),
}
WORDS = {
    Kind.RESERVE: gettext_noop("Hold"),
    Kind.SETTLE: gettext_noop("Charge"),
    Kind.RELEASE: gettext_noop("Hold released"),
    Kind.CORRECT: gettext_noop("Correction"),
}
# What was charged and did not come out is said beside the charge.
CHARGED_ENDS = {
    "lost": gettext_noop("lost"),
    "failed": gettext_noop("no file came"),
    "canceled": gettext_noop("canceled"),
}
# A correction that moves no money says how it ended after all.
SEEN_SINCE = {"lost": gettext_noop("Files lost"), "succeeded": gettext_noop("Files saved after all")}
COLUMNS = ["when", "entry", "model", "provider", "amount_usd", "count", "estimated", "reason", "reference", "booked_on"]


@dataclass(frozen=True)
class Choice:
    """Which entries are asked for. `error` says what of it could not be read; then no day is left out."""

    entry: str
    model: str
    first: date | None
    last: date | None
    before: int | None
    error: str = ""

    @property
    def is_everything(self) -> bool:
        return self == Choice("all", "", None, None, None)

    @property
    def days(self) -> str:
        """The range in words, empty without one."""
        first, last = (f"{date_format(day, 'j F')} {day.year}" if day else "" for day in (self.first, self.last))
        if first and last:
            return first if first == last else gettext("%(first)s to %(last)s") % {"first": first, "last": last}
        if first:
            return gettext("From %(first)s") % {"first": first}
        return gettext("Until %(last)s") % {"last": last} if last else ""

    def entries(self, user: User) -> QuerySet[LedgerEntry]:
        """The user's own, newest first. An entry belongs to the day that its amount counts to."""
        entries = reports.ledger(user=user).filter(kind__in=FILTERS[self.entry][1])
        if self.model:
            entries = entries.filter(model=self.model)
        if self.first:
            entries = entries.filter(booked_on__gte=self.first)
        if self.last:
            entries = entries.filter(booked_on__lte=self.last)
        return entries if self.before is None else entries.filter(pk__lt=self.before)


def read_choice(query: QueryDict) -> Choice:
    """`entry`, `model`, `from`, `to` (both days included) and `before` of an address; nonsense leaves nothing out."""
    entry, before = query.get("entry", "all"), query.get("before", "")
    first, last, error = _range(query.get("from", "").strip(), query.get("to", "").strip())
    return Choice(
        entry=entry if entry in FILTERS else "all",
        model=query.get("model", "")[:128].replace("\0", ""),
        first=first,
        last=last,
        before=int(before) if re.fullmatch(r"[0-9]{1,18}", before) else None,
        error=error,
    )


def _range(first: str, last: str) -> tuple[date | None, date | None, str]:
    days: list[date | None] = []
    for given in (first, last):
        try:
            # Of all that it would take, only what a browser's field sends.
            days.append(date.fromisoformat(given) if len(given) == 10 else None)
        except ValueError:
            days.append(None)
        if given and days[-1] is None:
            return None, None, gettext("“%(given)s” is not a day. Write it as 2026-07-16.") % {"given": given[:20]}
    if days[0] and days[1] and days[1] < days[0]:
        return None, None, gettext("The range ends before it begins.")
    return days[0], days[1], ""


def word(entry: LedgerEntry) -> str:
    """What kind of entry it is, for people."""
    kind = Kind(entry.kind)
    if kind is Kind.CORRECT and not entry.amount_micros and not entry.count:
        return gettext(SEEN_SINCE.get(entry.end, WORDS[kind]))
    if kind is Kind.RELEASE and not entry.end:
        return gettext("Hold passed on")
    end = CHARGED_ENDS.get(entry.end, "") if kind is Kind.SETTLE else ""
    words = [WORDS[kind], end, gettext_noop("estimated") if entry.estimated else ""]
    return ", ".join(gettext(said) for said in words if said)


def note(entry: LedgerEntry) -> str:
    """What there is to say of it; the names of attempts mean nothing to people."""
    passed_on = entry.reason.startswith("passed over")
    reason = gettext_noop("Tried again after a fault of the provider’s") if passed_on else entry.reason
    notes = [gettext(reason)] if reason else []
    if _day(entry) != entry.booked_on:
        notes.append(gettext("counts to %(date)s") % {"date": date_format(entry.booked_on, "j F")})
    return " · ".join(notes)


def signed(entry: LedgerEntry) -> str:
    """The amount as it changes what is left, to a tenth of a cent: a release gives back, the others take."""
    if not entry.amount_micros:
        return "" if entry.kind == Kind.CORRECT else dollars(0)
    amount = entry.amount_micros if entry.kind == Kind.RELEASE else -entry.amount_micros
    return f"{'+' if amount > 0 else ''}{dollars(amount, places=3)}"


def cells(entry: LedgerEntry) -> list[str]:
    """One row, in the order of `COLUMNS`."""
    return [
        entry.created_at.astimezone(zone()).isoformat(timespec="seconds"),
        word(entry),
        entry.model,
        entry.provider,
        usd(entry.amount_micros),
        str(entry.count),
        "yes" if entry.estimated else "no",
        entry.reason,
        str(entry.reference),
        entry.booked_on.isoformat(),
    ]


def safe_cells(values: Iterable[str]) -> list[str]:
    """A spreadsheet runs a cell that begins like a formula; a quote in front makes it text. Numbers stay numbers."""
    return [
        f"'{value}"
        if value[:1] in {"=", "+", "-", "@", "\t", "\r"} and not re.fullmatch(r"-?[0-9.]+", value)
        else value
        for value in values
    ]


def _day(entry: LedgerEntry) -> date:
    return entry.created_at.astimezone(zone()).date()
