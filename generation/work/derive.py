"""Give a stored asset its thumbnail, poster and colours, and let its card know."""

from contextlib import suppress

from django.db import IntegrityError
from django.utils import timezone

from gallery import derivatives
from gallery.leases import Claims
from gallery.models import Asset
from generation import events
from generation.models import Prediction
from generation.work import store_circuit

# While the store is down there is nothing to make them of.
DUE = Claims(lambda: Asset.objects.filter(~store_circuit.is_closed()), derivatives.LATEST_DUE)


def derive(asset: Asset) -> None:
    """The derive lane's step for a leased row."""
    derivatives.derive(asset)
    if asset.prediction_id:
        made_by = Prediction(pk=asset.prediction_id, user_id=asset.owner_id)
        # One that was deleted meanwhile has no card to be told.
        with suppress(IntegrityError):
            events.record(prediction=made_by, name="derived", now=timezone.now())
