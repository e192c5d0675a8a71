"""What a page brings with it before its pictures, as a browser gets it: compressed."""

import gzip
import re
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import timezone

from gallery.models import Asset
from gallery.tests import samples
from gallery.tests.making import derived, make_asset
from generation.lifecycle import current_attempt
from generation.models import Output, Prediction
from generation.states import Status
from generation.tests.making import make_prediction, make_user
from generation.web.feed import PAGE

KB: Final = 1000
MOST_HTML, MOST_CSS, MOST_JS = 15 * KB, 25 * KB, 60 * KB
# Before it is compressed: a browser has to read all of it.
MOST_RAW: Final = 60 * KB


def weight(content: bytes) -> int:
    """In bytes, by gzip as a proxy or WhiteNoise does it."""
    return len(gzip.compress(content, 6))


def brought(html: str, ending: str) -> int:
    """By all the page's own files of a kind."""
    names = set(re.findall(rf'(?:href|src)="/static/([^"]+?\.{ending})"', html))
    assert names
    found = [finders.find(name) for name in names]
    return sum(weight(Path(path).read_bytes()) for path in found if isinstance(path, str))


@pytest.fixture
def studio() -> str:
    """A page of it that is full of pictures."""
    now, owner = timezone.now(), make_user()
    picture = derived(make_asset(owner=owner, now=now, content=samples.picture(size=(1600, 900))))
    for number in range(PAGE):
        made = make_prediction(user=owner, now=now - timedelta(minutes=number))
        Prediction.objects.filter(pk=made.pk).update(status=Status.SUCCEEDED, due_at=None, completed_at=now)
        asset = Asset.objects.get(pk=picture.pk)
        asset.pk, asset.prediction_id = uuid4(), made.pk
        asset.storage_key = asset.thumbnail_key = f"{number}"
        asset.prompt = f"{number} lakes at the blue hour, from above"
        asset.save(force_insert=True)
        Output.objects.create(
            prediction=made, attempt=current_attempt(made), index=0, url="", state="stored", asset=asset, expires_at=now
        )
    client = Client()
    client.force_login(owner)
    return client.get("/").content.decode()


@pytest.mark.django_db
class TestFullStudio:
    def test_is_light(self, studio: str) -> None:
        assert studio.count("<article") == PAGE and studio.count("<img") == PAGE

        assert len(studio.encode()) < MOST_RAW
        assert weight(studio.encode()) < MOST_HTML
        assert brought(studio, "css") < MOST_CSS
        assert brought(studio, "js") < MOST_JS
