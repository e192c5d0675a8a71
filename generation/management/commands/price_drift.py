"""`manage.py price_drift`: where the provider's figures imply another price than ours."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.money import dollars
from generation.drift import find_drift


class Command(BaseCommand):
    """Reads only. Exits 0 whatever it finds: what to make of it is for a person to say."""

    help = "Compare what was booked in the last 30 days with what was quoted, model by model."

    def handle(self, *args: Any, **options: Any) -> None:
        report = find_drift(now=timezone.now())
        self.stdout.write(f"Charged runs with {report.provider} since {timezone.localtime(report.since):%Y-%m-%d}")
        if report.cut:
            self.stdout.write("Only the newest of them were looked at.")
        row = "{:40} {:>7} {:>12} {:>12} {:>12} {:>10}".format
        self.stdout.write(row("model", "runs", "quoted", "booked", "difference", "estimated"))
        for drift in report.models:
            sums = (dollars(drift.quoted_micros), dollars(drift.booked_micros), dollars(drift.difference_micros))
            self.stdout.write(row(drift.model, drift.runs, *sums, f"{drift.estimated_percent} %"))
            for case in drift.worst_first:
                examples = ", ".join(map(str, case.examples))
                self.stdout.write(f"  {case.runs} runs {case.sentence}, such as {examples}")
        if not report.drifts:
            self.stdout.write("Nothing parts from the prices.")
