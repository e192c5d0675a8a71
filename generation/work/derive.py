"""Give a stored asset its thumbnail, poster and colours, and let its card know."""

from django.utils import timezone

from gallery import derivatives
from gallery.models import Asset
from generation import events
from generation.models import Prediction


def derive(asset: Asset) -> None:
    """The derive lane's step for a leased row."""
    derivatives.derive(asset)
    prediction = Prediction.objects.filter(pk=asset.prediction_id).first() if asset.prediction_id else None
    if prediction:
        events.record(prediction=prediction, name="derived", now=timezone.now())
