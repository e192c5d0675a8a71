"""What all benchmarks have in common: a reference asked by turns with the product, and a row of `var/bench.json`."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
# The reference held against itself; outside of it, the machine was too noisy to say anything.
LEAST_SAME, MOST_SAME = 0.95, 1.05
# A client that is busier than this measures itself.
MOST_BUSY = 0.80
COLUMNS = ("id", "where", "value", "unit", "iqr", "p95", "goal", "reference", "same", "verdict", "name")


@dataclass
class Pairs:
    """The product's figures and the reference's, which is measured before and after each of them."""

    bare: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """Of each round: the product's to the reference's."""
        return [2 * own / (first + last) for first, own, last in zip(self.bare, self.ours, self.again, strict=True)]

    @property
    def added(self) -> list[float]:
        """Of each round: how much the product's is above the reference's."""
        return [own - (first + last) / 2 for first, own, last in zip(self.bare, self.ours, self.again, strict=True)]

    @property
    def same(self) -> float:
        """The reference to itself."""
        return statistics.median(first / last for first, last in zip(self.bare, self.again, strict=True))


def interleaved(
    *,
    ours: Callable[[], float],
    bare: Callable[[], float],
    rounds: int,
    warm_up: int = 1,
    pause: Callable[[], Any] = int,
) -> Pairs:
    """Ours, bare, ours, bare: each figure of the product's between two of the reference's, and each of those after one
    of the product's, which leaves caches as it leaves them.

    `pause` is called after each round, and the first rounds are thrown away.
    """
    found, before = Pairs(), bare()
    for turn in range(warm_up + rounds):
        own, after = ours(), bare()
        if turn >= warm_up:
            found.bare.append(before)
            found.ours.append(own)
            found.again.append(after)
        before = after
        pause()
    return found


def row(
    id: str,
    name: str,
    where: str,
    values: Sequence[float],
    *,
    unit: str,
    reference: tuple[str, float | None],
    goal: float | None = None,
    better: str = "lower",
    same: float | None = None,
    void: str = "",
    **more: Any,
) -> Row:
    """One row: median and spread of `values`; `void` says why it does not count. Without a goal it is only shown."""
    ordered = sorted(values)
    quartiles = statistics.quantiles(ordered, n=4) if len(ordered) > 1 else [ordered[0]] * 3
    p95 = statistics.quantiles(ordered, n=20)[-1 if better == "lower" else 0] if len(ordered) >= 20 else None
    if same is not None and not LEAST_SAME <= same <= MOST_SAME:
        void = void or "noisy"
    return {
        "id": id,
        "name": name,
        "where": where,
        "value": rounded(quartiles[1]),
        "goal": goal,
        "better": better,
        "unit": unit,
        "iqr": rounded(quartiles[2] - quartiles[0]),
        "p95": p95 if p95 is None else rounded(p95),
        "reference": {"name": reference[0], "value": reference[1] if reference[1] is None else rounded(reference[1])},
        "same": same if same is None else round(same, 3),
        "rounds": len(ordered),
        "void": bool(void),
        "why": void,
        **more,
    }


def rounded(value: float) -> float:
    """Four digits that say something."""
    return float(f"{value:.4g}")


def verdict(row: Row) -> str:
    """`met`, `near` (missed by no more than twice the spread), `missed`, `void` (too noisy to say) or `-` (no goal)."""
    if row["void"]:
        return f"void: {row['why']}" if row.get("why") else "void"
    if row["goal"] is None:
        return "-"
    short = (row["value"] - row["goal"]) * (1 if row["better"] == "lower" else -1)
    return "met" if short <= 0 else "near" if short <= 2 * row["iqr"] else "missed"


def show(rows: Sequence[Row]) -> None:
    """A table."""
    cells = [list(COLUMNS)]
    for row in rows:
        shown = row | {"verdict": verdict(row), "reference": row["reference"]["value"]}
        cells.append(["-" if shown[column] is None else str(shown[column]) for column in COLUMNS])
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
