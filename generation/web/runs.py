"""Several runs of one prompt as one card: what they say together, and what each says by itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, TypeAlias
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.statements import read
from accounts.templatetags.studio import usd
from gallery.models import Asset
from generation.models import Prediction
from generation.states import TERMINAL, UNFINISHED, Status
from generation.web.cards import Card, Words, cards_for

# What lags behind comes first: it names the state of all.
ORDER = (Status.QUEUED, Status.STARTING, Status.PROCESSING, Status.STORING)


@dataclass(frozen=True)
class Runs:
    """The cards of runs that were asked for together, in that order; never empty."""

    cards: Sequence[Card]
    template = "generation/_runs_card.html"

    @property
    def first(self) -> Card:
        return self.cards[0]

    @property
    def prediction(self) -> Prediction:
        """The first run's, after which the card is named and dated."""
        return self.first.prediction

    @property
    def still(self) -> Sequence[Any] | None:
        """As a card's: of all runs together."""
        each = [card.still for card in self.cards]
        return None if None in each else [row for rows in each for row in rows or ()]

    @property
    def root_id(self) -> str:
        return self.first.root_id

    @property
    def event(self) -> int:
        """The newest that any of them shows."""
        return max(card.event for card in self.cards)

    @property
    def numbers(self) -> str:
        """ "462–465", or one by one where others came in between."""
        found = [card.prediction.number for card in self.cards]
        together = found[-1] - found[0] == len(found) - 1
        return f"{found[0]}–{found[-1]}" if together else ", ".join(map(str, found))

    @property
    def leading(self) -> Card:
        """The one that speaks for all: of those under way the one furthest behind, else one that has succeeded."""
        under_way = [card for card in self.cards if card.status in UNFINISHED]
        if under_way:
            return min(under_way, key=lambda card: (not card.slow, ORDER.index(card.status)))
        return next((card for card in self.cards if card.status is Status.SUCCEEDED), self.first)

    @property
    def status(self) -> Status:
        return self.leading.status

    @property
    def running(self) -> int:
        """How many are not finished."""
        return sum(card.status not in TERMINAL for card in self.cards)

    @property
    def unfinished(self) -> bool:
        return any(card.unfinished for card in self.cards)

    @property
    def percent(self) -> int | None:
        """Over all runs; None until one is finished or says how far it is."""
        shares = [1.0 if card.status in TERMINAL else card.fraction for card in self.cards]
        return round(100 * sum(shares) / len(shares)) if any(shares) else None

    @property
    def slow(self) -> bool:
        return any(card.slow for card in self.cards)

    @property
    def slow_in_seconds(self) -> float | None:
        """When the next of them has to ask whether to go on."""
        return min((left for card in self.cards if (left := card.slow_in_seconds) is not None), default=None)

    @property
    def words(self) -> Words:
        """What the leading one says, and how far the others are."""
        said = self.leading.words
        done = sum(card.status is Status.SUCCEEDED for card in self.cards)
        not_made = sum(card.status in TERMINAL and card.status is not Status.SUCCEEDED for card in self.cards)
        all_of_them = len(self.cards)
        counts = [_("%(done)s of %(all)s done.") % {"done": done, "all": all_of_them} if done < all_of_them else ""]
        if not_made and done:
            counts.append(_("%(count)s did not come out; see each run.") % {"count": not_made})
        return Words(said.headline, " ".join(filter(None, [*counts, said.why if self.running else ""])))

    @property
    def price(self) -> str:
        """All of them together."""
        prices = [card.prediction for card in self.cards]
        settled = all(one.cost_micros is not None for one in prices)
        sure = settled and not any(one.cost_estimated for one in prices)
        total = sum(one.estimated_micros if one.cost_micros is None else one.cost_micros for one in prices)
        up_to = not settled and any(one.quote.get("up_to") for one in prices)
        if up_to:
            return _("up to %(price)s") % {"price": usd(total)}
        return usd(total) if sure else f"≈ {usd(total)}"

    @property
    def assets(self) -> list[Asset]:
        """All pictures and films that came of it."""
        return [asset for card in self.cards for asset in card.assets]

    @property
    def can_cancel(self) -> bool:
        return any(card.can_cancel for card in self.cards)


Shown: TypeAlias = Card | Runs


def shown(predictions: Iterable[Prediction], *, now: datetime) -> list[Shown]:
    """The cards that show `predictions`, each once, in a constant number of statements.

    Whoever is one of several runs brings the others along.
    """
    rows = list(predictions)
    order: dict[UUID, None] = dict.fromkeys(_first_of(row) for row in rows)
    missing = order.keys() - {row.pk for row in rows}
    others = read(Prediction, {"first_run": tuple(order)}) if order else []
    others += read(Prediction, {"pk": tuple(missing)}) if missing else []
    everyone = {row.pk: row for row in [*others, *rows]}
    cards = cards_for(sorted(everyone.values(), key=lambda row: (str(_first_of(row)), row.number)), now=now)
    together = {first: list(group) for first, group in groupby(cards, key=lambda card: _first_of(card.prediction))}
    return [Runs(group) if len(group := together[first]) > 1 else group[0] for first in order]


def siblings(prediction: Prediction) -> list[Prediction]:
    """All runs that were asked for together with it, itself among them."""
    first = _first_of(prediction)
    return list(
        Prediction.objects.filter(Q(pk=first) | Q(first_run=first), user_id=prediction.user_id).order_by("number")
    )


def _first_of(prediction: Prediction) -> UUID:
    return prediction.first_run_id or prediction.pk


def render_card(
    prediction: Prediction, *, oob: bool = False, now: datetime | None = None, request: HttpRequest | None = None
) -> str:
    """The fragment of the card that shows `prediction`. With `oob` it finds its place in the page by itself, as a
    socket's frame must."""
    [card] = shown([prediction], now=now or timezone.now())
    return render_to_string(card.template, {"card": card, "oob": oob}, request=request)
