"""What the API views of generation share: who asks, by which token, with what body, and for which prediction."""

import uuid
from typing import Any

from django.http import Http404
from rest_framework.request import Request

from accounts.api.problems import Charged
from accounts.models import ApiToken, User
from generation.models import Prediction
from generation.presentation import with_all_told


def caller(request: Request) -> User:
    """Who asks; the permission classes let nobody else through."""
    assert isinstance(request.user, User)
    return request.user


def body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent; the parser lets nothing else through."""
    data: Any = request.data
    return dict(data)


def token_id(request: Request) -> uuid.UUID | None:
    """The token that spends, None for a session."""
    return request.auth.pk if isinstance(request.auth, ApiToken) else None


def found(request: Request, id: str) -> Prediction:
    """The caller's prediction of that id; raises 404, also for another's."""
    try:
        key = uuid.UUID(id)
    except ValueError:
        raise Http404 from None
    prediction = with_all_told(Prediction.objects.for_owner(caller(request))).filter(pk=key).first()
    if prediction is None:
        raise Http404
    return prediction


def charged(prediction: Prediction) -> Charged:
    """Where its money is, as a refusal tells."""
    if prediction.cost_micros is None:
        return "held"
    return "settled" if prediction.cost_micros else "none"
