"""Give a stored asset its thumbnail, poster and colours, and let its card know."""

from django.utils import timezone

from accounts.statements import read
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
    for prediction in read(Prediction, {"pk": asset.prediction_id}) if asset.prediction_id else []:
        events.record(prediction=prediction, name="derived", now=timezone.now())
