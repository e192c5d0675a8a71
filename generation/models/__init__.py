"""How it is made: the prediction asked for, its attempts at the provider, their outputs, and what was heard."""

from generation.models.arrivals import Output, WebhookDelivery
from generation.models.batches import Batch, BatchItem
from generation.models.drafts import Draft
from generation.models.health import Circuit, ModelAvailability, ProviderState, StorageState
from generation.models.outgoing import OutgoingMessage, WebhookEndpoint
from generation.models.predictions import Attempt, Prediction, PredictionEvent, PredictionQuerySet, new_address_token
from generation.models.prices import Price
from generation.models.queue import ModelCap, Pause, QueueTurn

__all__ = [
    "Attempt",
    "Batch",
    "BatchItem",
    "Circuit",
    "Draft",
    "ModelAvailability",
    "ModelCap",
    "OutgoingMessage",
    "Output",
    "Pause",
    "Prediction",
    "PredictionEvent",
    "PredictionQuerySet",
    "Price",
    "ProviderState",
    "QueueTurn",
    "StorageState",
    "WebhookDelivery",
    "WebhookEndpoint",
    "new_address_token",
]
