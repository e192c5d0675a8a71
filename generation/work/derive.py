"""Give a stored asset its thumbnail, poster and colours, and let its card know."""

from django.utils import timezone

from gallery import derivatives
from gallery.leases import claim
from gallery.models import Asset
from generation import events
from generation.models import Prediction
from generation.work import store_circuit


def take(limit: int) -> list[Asset]:
    """Lease assets that want derivatives; while the store is down there is nothing to make them of."""
    if store_circuit.is_closed():
        return []
    return claim(Asset.objects.all(), limit=limit, order_by=derivatives.LATEST_DUE)


def derive(asset: Asset) -> None:
    """The derive lane's step for a leased row."""
    derivatives.derive(asset)
    prediction = Prediction.objects.filter(pk=asset.prediction_id).first() if asset.prediction_id else None
    if prediction:
        events.record(prediction=prediction, name="derived", now=timezone.now())
