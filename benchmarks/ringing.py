"""Enters an event of one prediction for each line that it reads: `python -m benchmarks.ringing PREDICTION`."""

import os
import sys
import time

import django


def main(prediction_id: str) -> None:
    """Prints a line when the prediction is through, and then for each event the moment before it is entered."""
    from django.db import transaction
    from django.utils import timezone

    from gallery.models import Asset
    from generation import events
    from generation.models import Prediction

    while not Asset.objects.filter(prediction_id=prediction_id, due_at=None).exists():
        time.sleep(0.1)
    prediction = Prediction.objects.get(pk=prediction_id)
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.monotonic()
        with transaction.atomic():
            events.record(prediction=prediction, name="progress", now=timezone.now())
        print(began, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palette.settings")
    django.setup()
    main(sys.argv[1])
