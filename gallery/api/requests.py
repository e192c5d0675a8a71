"""What the gallery's API views share: who asks, for which asset, and how the gallery's refusals are told."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from django.shortcuts import get_object_or_404
from rest_framework.request import Request

from accounts.api.problems import Problem, invalid
from accounts.models import User
from gallery.descriptions import InvalidDetails
from gallery.models import Asset
from gallery.renaming import NameTaken


def owner(request: Request) -> User:
    """The caller; permissions have seen to it that there is one."""
    assert isinstance(request.user, User)
    return request.user


def own_asset(request: Request, id: UUID | str) -> Asset:
    """The caller's asset; 404 for another's and for what is in the trash."""
    return get_object_or_404(Asset.objects.for_owner(owner(request)).kept().prefetch_related("tags"), pk=id)


@contextmanager
def refusals(outside: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn `InvalidDetails` into a 422 under the names used outside, and `NameTaken` into a 409."""
    try:
        yield
    except InvalidDetails as error:
        errors = {(outside or {}).get(name, name): sentence for name, sentence in error.errors.items()}
        if isinstance(error, NameTaken):
            raise Problem(status=409, code="name_taken", detail=str(error), errors=errors.items()) from None
        raise invalid(errors) from None
