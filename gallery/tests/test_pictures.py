"""How pictures stand on pages: which file, how wide, and never one that could not be derived."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from gallery.models import Asset
from gallery.templatetags import pictures
from gallery.templatetags.pictures import sizes, srcset
from gallery.tests import samples
from gallery.tests.making import derived, make_asset, make_film

pytestmark = pytest.mark.django_db


def shown(asset: Asset, **context: Any) -> str:
    return pictures.picture(asset, **context)


class TestPicture:
    def test_comes_in_the_width_that_is_needed(self, owner: User) -> None:
        asset = derived(make_asset(owner=owner, content=samples.picture(size=(1600, 900))))

        picture = shown(asset)

        address = f"/assets/{asset.pk}/thumbnail"
        assert f'src="{address}"' in picture
        assert f'srcset="{address}/320 320w, {address}/640 640w, {address}/1280 1280w"' in picture
        assert 'sizes="auto,(min-width:80rem) 26.67rem,' in picture
        assert 'width="1600" height="900"' in picture

    def test_is_the_original_only_on_its_own_page(self, owner: User) -> None:
        asset = derived(make_asset(owner=owner, content=samples.picture(size=(1600, 900))))

        assert f"/assets/{asset.pk}/file" not in shown(asset)
        assert srcset(asset, "plate").endswith(f"/assets/{asset.pk}/file 1600w")

    def test_is_first_on_the_page_without_waiting(self, owner: User) -> None:
        asset = derived(make_asset(owner=owner))
        first, second, further = (shown(asset, eager=eager) for eager in ("first", True, False))

        assert [picture.count('fetchpriority="high"') for picture in (first, second, further)] == [1, 0, 0]
        assert ['loading="lazy"' in picture and "auto" in picture for picture in (first, second, further)] == [0, 0, 1]

    def test_of_an_earlier_version_has_one_width(self, owner: User) -> None:
        asset = derived(make_asset(owner=owner))
        asset.thumbnails = {}

        assert "thumbnail" in shown(asset) and "srcset" not in shown(asset)

    @pytest.mark.parametrize(
        ("place", "words"),
        [
            ("row", ["(min-width:80rem) 26.67rem", "(min-width:44rem) 22.22rem", ",16rem"]),
            ("cell", ["(min-width:44rem) 27rem", ",100vw"]),
            ("strip", ["9.6rem"]),
            ("pick", ["8rem"]),
            ("half", ["(min-width:48rem) min(50vw,124.4vh)", "min(100vw,124.4vh)"]),
            ("plate", ["(min-width:60rem) min(100vw - 28rem,145.8vh)", "min(100vw,145.8vh)"]),
        ],
    )
    def test_fits_every_place(self, owner: User, place: str, words: list[str]) -> None:
        asset = make_asset(owner=owner)

        asset.width, asset.height = 64, 36
        assert all(word in sizes(asset, place) for word in words)
        asset.height = 0
        assert sizes(asset, place)


class TestWhatCouldNotBeDerived:
    @pytest.fixture(params=["image", "film"])
    def given_up(self, request: pytest.FixtureRequest, owner: User) -> Asset:
        asset = make_film(owner=owner) if request.param == "film" else make_asset(owner=owner)
        Asset.objects.update(due_at=None, width=64_000, height=64_000)
        return Asset.objects.get(pk=asset.pk)

    def test_is_no_picture_for_a_browser(self, given_up: Asset, owners: Client) -> None:
        address = f"/assets/{given_up.pk}/file"

        for page in ("/gallery/", f"/gallery/{given_up.pk}/"):
            content = owners.get(page).content.decode()
            assert "cannot be shown" in content.lower() or given_up.kind == "video"
            assert f'src="{address}"' not in content and f"{address} " not in content
            assert "64000w" not in content

    def test_is_offered_for_download(self, given_up: Asset, owners: Client) -> None:
        content = owners.get(f"/gallery/{given_up.pk}/").content.decode()

        assert f'<a href="/assets/{given_up.pk}/file?download=1" download>Download it</a>' in content

    def test_is_waited_for_as_long_as_it_is_due(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner, now=timezone.now())

        content = owners.get("/gallery/").content.decode()

        assert "annot be shown" not in content and f"/assets/{asset.pk}/file" not in content


class TestWhatMoves:
    def test_names_its_preview(self, owner: User) -> None:
        asset = derived(make_film(owner=owner))

        assert f'data-preview="/assets/{asset.pk}/preview"' in shown(asset)

    def test_moves_on_its_own_page(self, owner: User, owners: Client) -> None:
        content = samples.picture("GIF", size=(640, 360), frames=3, duration=100)
        asset = derived(make_asset(owner=owner, content=content))

        assert f'src="/assets/{asset.pk}/file"' in owners.get(f"/gallery/{asset.pk}/").content.decode()
        assert f'src="/assets/{asset.pk}/file"' not in shown(asset)
