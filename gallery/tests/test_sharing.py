"""Share links: for whom, until when, behind which password, and of nothing else."""

import json
import re
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from gallery import sharing
from gallery.descriptions import InvalidDetails, update_asset
from gallery.models import Asset, Collection, ShareLink
from gallery.organising import Change, organise_assets
from gallery.sharing import create_share_link, revoke_share_link, token_of
from gallery.tests.making import derived, make_asset, make_film
from gallery.tests.s3server import S3Server
from gallery.tests.test_zips import sent
from gallery.trash import trash_asset
from gallery.web import visits

PASSWORD = "blue hour"


def share(to: Asset | Collection, **more: Any) -> ShareLink:
    now = timezone.now()
    return create_share_link(owner=to.owner, to=to, expires_at=now + timedelta(days=3), now=now, **more)


def at(link: ShareLink, path: str = "") -> str:
    return f"/s/{token_of(link)}/{path}"


def said(response: Any) -> str:
    """A page, but for the form's token that is another each time."""
    return re.sub(r'"X-CSRFToken": "\w+"', "", response.content.decode())


@pytest.fixture
def asset(owner: User) -> Asset:
    return make_asset(owner=owner)


@pytest.fixture
def collection(owner: User, asset: Asset) -> Collection:
    organise_assets(owner=owner, ids=[asset.pk], change=Change(collect="Night ferry"), now=timezone.now())
    return Collection.objects.get()


class TestToken:
    def test_is_in_no_table_and_made_of_the_secret_key(self, asset: Asset, settings: Settings) -> None:
        link = share(asset)
        token = token_of(link)

        row = ShareLink.objects.values().get()

        assert len(token) == 32
        assert token not in str(row)
        settings.SECRET_KEY = "another key of this site, as long as it has to be"
        assert token_of(link) == ""
        assert sharing.opened(token=token, now=timezone.now()) == link

    def test_is_another_for_each_link(self, asset: Asset) -> None:
        assert token_of(share(asset)) != token_of(share(asset))


class TestCreate:
    @pytest.mark.parametrize("days", [-1, 0, 366])
    def test_refuses_an_end_that_is_none(self, asset: Asset, days: int) -> None:
        now = timezone.now()

        with pytest.raises(InvalidDetails) as refused:
            create_share_link(owner=asset.owner, to=asset, expires_at=now + timedelta(days=days), now=now)

        assert "expires_at" in refused.value.errors

    @pytest.mark.parametrize("password", ["short", "x" * 129])
    def test_refuses_a_password_that_is_none(self, asset: Asset, password: str) -> None:
        with pytest.raises(InvalidDetails) as refused:
            share(asset, password=password)

        assert "password" in refused.value.errors

    def test_makes_so_many_and_no_more(self, asset: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sharing, "MOST_LINKS", 1)
        first = share(asset)

        with pytest.raises(InvalidDetails):
            share(asset)
        revoke_share_link(owner=asset.owner, id=first.pk, now=timezone.now())
        share(asset)


class TestVisit:
    @pytest.mark.parametrize("who", ["owners", "strangers", "client"])
    def test_is_for_whoever_has_the_token(self, asset: Asset, who: str, request: pytest.FixtureRequest) -> None:
        browser: Client = request.getfixturevalue(who)
        link = share(asset)

        page, file = browser.get(at(link)), browser.get(at(link, f"assets/{asset.pk}/file"))

        assert (page.status_code, file.status_code) == (200, 200)
        assert browser.get(f"/s/{'x' * 32}/").status_code == 404

    def test_is_found_by_no_robot_kept_by_no_cache_and_told_to_nobody(self, asset: Asset, client: Client) -> None:
        link = share(asset)
        gone = f"/s/{'x' * 32}/"
        for address in (at(link), at(link, f"assets/{asset.pk}/file"), gone):
            headers = client.get(address).headers

            assert "noindex" in headers["X-Robots-Tag"]
            assert headers["Cache-Control"] == "private, no-store"
            assert headers["Referrer-Policy"] == "no-referrer"
        assert '<meta name="robots" content="noindex' in client.get(at(link)).content.decode()

    def test_shows_nothing_of_its_owner_but_what_is_shared(self, asset: Asset, client: Client) -> None:
        another = make_asset(owner=asset.owner, frame_number=462)
        Asset.objects.update(notes="call the client", seed=829114203)
        link = share(asset)

        shown = client.get(at(link)).content.decode()
        named = client.get(at(link, f"assets/{asset.pk}/file?download=1"))["Content-Disposition"]

        for secret in (asset.owner.username, asset.prompt, "call the client", "829114203", "nano-banana", "0.039"):
            assert secret not in shown
        assert "still" not in named
        assert client.get(at(link, f"assets/{another.pk}/file")).status_code == 404
        assert client.get(at(link, f"{another.pk}/")).status_code == 404

    def test_shows_the_prompt_where_its_owner_says_so(self, asset: Asset, client: Client) -> None:
        assert asset.prompt in client.get(at(share(asset, show_prompt=True))).content.decode()

    def test_names_no_address_but_its_own(self, owner: User, client: Client) -> None:
        film = derived(make_film(owner=owner))
        link = share(film)

        shown = client.get(at(link)).content.decode()

        assert f'poster="{at(link)}assets/{film.pk}/poster"' in shown
        assert '"/assets/' not in shown
        for what in ("file", "thumbnail", "thumbnail/320", "poster", "preview"):
            assert client.get(at(link, f"assets/{film.pk}/{what}")).status_code == 200, what

    def test_shows_a_collection_and_what_lies_in_it_now(
        self, owner: User, asset: Asset, collection: Collection, client: Client
    ) -> None:
        link, later = share(collection), make_asset(owner=owner, frame_number=462)
        outside = make_asset(owner=owner, frame_number=463)
        organise_assets(owner=owner, ids=[later.pk], change=Change(collect="Night ferry"), now=timezone.now())

        shown = client.get(at(link)).content.decode()

        assert str(asset.pk) in shown and str(later.pk) in shown and str(outside.pk) not in shown
        assert client.get(at(link, f"{asset.pk}/")).status_code == 200
        assert client.get(at(link, f"assets/{outside.pk}/file")).status_code == 404

    def test_turns_the_pages_of_a_collection(
        self, owner: User, collection: Collection, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gallery.web.visits.FRAMES", 1)
        older = make_asset(owner=owner, frame_number=1, now=timezone.now() - timedelta(days=900))
        organise_assets(owner=owner, ids=[older.pk], change=Change(collect="Night ferry"), now=timezone.now())
        link = share(collection)

        first = client.get(at(link))
        second = client.get(at(link) + first.context["frames"].older).content.decode()

        assert str(older.pk) not in first.content.decode()
        assert str(older.pk) in second and "?cursor" not in second
        assert client.get(at(link) + "?cursor=nonsense").status_code == 200

    @pytest.mark.parametrize("ending", ["revoked", "expired", "trashed", "inactive"])
    def test_ends_at_once(self, asset: Asset, client: Client, ending: str) -> None:
        link = share(asset)
        now = timezone.now()
        match ending:
            case "revoked":
                assert revoke_share_link(owner=asset.owner, id=link.pk, now=now)
            case "expired":
                ShareLink.objects.update(created_at=now - timedelta(days=2), expires_at=now)
            case "trashed":
                trash_asset(asset=asset, now=now)
            case "inactive":
                User.objects.update(is_active=False)

        for path in ("", f"assets/{asset.pk}/file", f"{asset.pk}/"):
            response = client.get(at(link, path))
            assert response.status_code == 404
            assert said(response) == said(client.get(f"/s/{'x' * 32}/"))

    @pytest.mark.parametrize("ending", ["taken out", "trashed", "collection gone"])
    def test_ends_for_what_left_the_collection(
        self, owner: User, asset: Asset, collection: Collection, client: Client, ending: str
    ) -> None:
        link = share(collection)
        match ending:
            case "taken out":
                change = Change(uncollect="Night ferry")
                organise_assets(owner=owner, ids=[asset.pk], change=change, now=timezone.now())
            case "trashed":
                trash_asset(asset=asset, now=timezone.now())
            case _:
                collection.delete()

        assert str(asset.pk) not in client.get(at(link)).content.decode()
        assert client.get(at(link, f"assets/{asset.pk}/file")).status_code == 404

    @pytest.mark.parametrize("path", ["x" * 3000, "%F0%9F%8E%AC", "..%2f..%2f", "a%0d%0ab"])
    def test_answers_nonsense_with_404(self, db: None, client: Client, path: str) -> None:
        assert client.get(f"/s/{path}/").status_code == 404
        assert client.get(f"/s/{path}/assets/{uuid4()}/file").status_code == 404

    def test_leads_from_the_assets_own_address(self, asset: Asset, client: Client) -> None:
        link = share(asset)

        response = client.get(f"/assets/{asset.pk}/file?share={token_of(link)}")

        assert response["Location"] == at(link, f"assets/{asset.pk}/file")
        assert response["Cache-Control"] == "private, no-store"
        strange = client.get(f"/assets/{asset.pk}/file", {"share": "//evil.example/"})
        assert urlsplit(strange["Location"]).netloc == ""

    def test_signs_addresses_that_end_also_where_assets_are_public(
        self, in_s3: S3Server, owner: User, client: Client, settings: Settings
    ) -> None:
        asset = make_asset(owner=owner)
        settings.S3_PUBLIC_URL = "https://cdn.example.com"
        link = share(asset)

        response = client.get(at(link, f"assets/{asset.pk}/file"))

        assert "X-Amz-Expires=600" in response["Location"] and "cdn.example.com" not in response["Location"]
        assert response["Cache-Control"] == "private, no-store"


class TestPassword:
    def test_stands_before_page_and_files(self, asset: Asset, client: Client) -> None:
        link = share(asset, password=PASSWORD)

        assert "Whoever shared this" in client.get(at(link)).content.decode()
        assert client.get(at(link, f"assets/{asset.pk}/file")).status_code == 404
        wrong = client.post(at(link, "unlock"), {"password": "blue hours"})
        assert wrong.status_code == 422 and "share" not in client.cookies
        right = client.post(at(link, "unlock"), {"password": PASSWORD})
        assert right["Location"] == at(link)
        assert client.get(at(link, f"assets/{asset.pk}/file")).status_code == 200
        cookie = client.cookies["share"]
        assert cookie["path"] == at(link) and cookie["httponly"] and PASSWORD not in cookie.value

    def test_opens_no_other_link(self, asset: Asset, client: Client) -> None:
        link, other = share(asset, password=PASSWORD), share(asset, password=PASSWORD)
        given = sharing.try_password(link=link, password=PASSWORD, now=timezone.now())

        assert sharing.lets_in(link=link, given=given)
        assert not sharing.lets_in(link=other, given=given)
        assert not sharing.lets_in(link=link, given=given[:-1])

    def test_is_asked_for_again_once_it_is_another(self, asset: Asset) -> None:
        link = share(asset, password=PASSWORD)
        given = sharing.try_password(link=link, password=PASSWORD, now=timezone.now())
        link.password = share(asset, password=PASSWORD).password

        assert not sharing.lets_in(link=link, given=given)

    def test_is_not_looked_at_after_ten_wrong_ones(
        self, asset: Asset, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = share(asset, password=PASSWORD)
        monkeypatch.setattr(sharing, "check_password", lambda given, kept: given == PASSWORD)
        for _ in range(sharing.MOST_TRIES):
            assert client.post(at(link, "unlock"), {"password": "x"}).status_code == 422

        refused = client.post(at(link, "unlock"), {"password": PASSWORD})

        assert refused.status_code == 429 and refused["Retry-After"] == "900"
        later = timezone.now() + sharing.TRIES_WITHIN + timedelta(seconds=1)
        assert sharing.try_password(link=link, password=PASSWORD, now=later)

    @pytest.mark.django_db(transaction=True)
    def test_is_tried_no_more_often_by_many_at_once(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        link = share(make_asset(owner=owner), password=PASSWORD)
        looked: list[str] = []

        def look(given: str, kept: str) -> bool:
            looked.append(given)
            return False

        monkeypatch.setattr(sharing, "check_password", look)

        def try_five() -> None:
            for _ in range(5):
                try:
                    sharing.try_password(link=link, password="x", now=timezone.now())
                except (sharing.WrongPassword, sharing.TooManyTries):
                    continue
            connection.close()

        threads = [threading.Thread(target=try_five) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(looked) == sharing.MOST_TRIES


class TestManaging:
    def test_makes_lists_and_revokes(self, asset: Asset, owners: Client, client: Client) -> None:
        page = f"/gallery/{asset.pk}/share"
        day = (timezone.now() + timedelta(days=9)).date()

        made = owners.post(page, {"expires_at": day, "password": PASSWORD, "show_prompt": "on"})
        link = ShareLink.objects.get()
        listed = owners.get(page).content.decode()

        assert made["Location"] == page
        assert (link.asset, link.show_prompt, link.expires_at.date()) == (asset, True, day)
        assert f"http://testserver{at(link)}" in listed and "Open until" in listed
        owners.post(f"/gallery/links/{link.pk}/revoke", {"next": page})
        assert "Revoked" in owners.get(page).content.decode()
        assert client.get(at(link)).status_code == 404

    def test_shows_the_address_that_visitors_know(self, asset: Asset, owners: Client, settings: Settings) -> None:
        settings.PUBLIC_URL = "https://studio.example.com"
        link = share(asset)

        listed = owners.get(f"/gallery/{asset.pk}/share", headers={"host": "localhost"}).content.decode()

        assert f"https://studio.example.com{at(link)}" in listed
        assert f"http://localhost{at(link)}" not in listed

    @pytest.mark.parametrize(
        "given", [{}, {"expires_at": "soon"}, {"expires_at": "1999-01-01"}, {"expires_at": "9999-12-31"}]
    )
    def test_says_what_is_wrong_beside_the_field(self, asset: Asset, owners: Client, given: dict[str, str]) -> None:
        response = owners.post(f"/gallery/{asset.pk}/share", given)

        assert response.status_code == 422
        assert 'id="expires-errors"' in response.content.decode()
        assert not ShareLink.objects.exists()

    def test_is_for_the_owner_alone(
        self, asset: Asset, collection: Collection, strangers: Client, client: Client
    ) -> None:
        link = share(asset)
        for page in (f"/gallery/{asset.pk}/share", f"/gallery/collections/{collection.pk}/share"):
            assert strangers.get(page).status_code == 404
            assert client.get(page).status_code == 302
        assert strangers.post(f"/gallery/links/{link.pk}/revoke").status_code == 404
        assert client.post(f"/gallery/links/{link.pk}/revoke")["Location"].startswith("/accounts/login")
        assert client.get(at(link)).status_code == 200

    def test_is_reached_from_the_asset_and_the_collection(
        self, asset: Asset, collection: Collection, owners: Client
    ) -> None:
        assert f"/gallery/{asset.pk}/share" in owners.get(f"/gallery/{asset.pk}/").content.decode()
        sheet = owners.get("/gallery/?collection=Night+ferry").content.decode()
        assert f"/gallery/collections/{collection.pk}/share" in sheet
        assert f"/gallery/collections/{collection.pk}/download" in sheet
        assert owners.get(f"/gallery/collections/{collection.pk}/share").status_code == 200


class TestZip:
    def test_holds_the_originals_and_what_the_pages_show(
        self, asset: Asset, collection: Collection, client: Client, stranger: User
    ) -> None:
        said_of_it = {"title": "Lake", "tags": ["secret"], "notes": "secret", "category": "places"}
        update_asset(asset=asset, changes=said_of_it, now=timezone.now())
        make_asset(owner=asset.owner)
        make_asset(owner=stranger)

        plain = sent(client.get(at(share(collection), "download")))
        shown = sent(client.get(at(share(collection, show_prompt=True), "download")))

        assert plain.namelist() == ["Lake-461.png", "Lake-461.png.json"]
        told, told_more = (json.loads(made.read("Lake-461.png.json")) for made in (plain, shown))
        assert set(told_more) - set(told) == {"prompt"} and told_more["prompt"] == asset.prompt
        assert not {"settings", "seed", "tags", "notes", "category", "model", "id"} & set(told_more)
        assert told["title"] == "Lake" and told["sha256"] == asset.sha256

    def test_names_nothing_by_a_hidden_prompt(self, collection: Collection, client: Client) -> None:
        made = sent(client.get(at(share(collection), "download")))

        assert made.namelist() == ["frame-461.png", "frame-461.png.json"]

    def test_is_kept_as_close_as_the_pages(self, asset: Asset, collection: Collection, client: Client) -> None:
        closed, behind = share(collection), share(collection, password=PASSWORD)
        revoke_share_link(owner=collection.owner, id=closed.pk, now=timezone.now())

        assert client.get(at(closed, "download")).status_code == 404
        assert client.get(at(share(asset), "download")).status_code == 404
        assert client.head(at(share(collection), "download")).status_code == 405
        asked = client.get(at(behind, "download"))
        assert asked["Content-Type"].startswith("text/html") and "has set a password" in said(asked)
        client.post(at(behind, "unlock"), {"password": PASSWORD})
        opened = client.get(at(behind, "download"))
        assert sent(opened).namelist()[0] == "frame-461.png"
        assert "noindex" in opened["X-Robots-Tag"] and "no-store" in opened["Cache-Control"]

    def test_is_made_so_often_for_one_link(
        self, collection: Collection, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sharing, "MOST_ZIPS", 2)
        link, now = share(collection), timezone.now()
        for _ in range(2):
            sharing.zipped_assets(link=link, most=1, now=now)

        refused = client.get(at(link, "download"))
        assert refused.status_code == 429 and refused["Retry-After"] == "900"
        assert "Wait 15 minutes" in said(refused)
        sent(client.get(at(share(collection), "download")))
        assert sharing.zipped_assets(link=link, most=1, now=now + sharing.ZIPS_WITHIN)

    def test_is_made_for_both_of_two_that_are_the_first(
        self, collection: Collection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link, now, before = share(collection), timezone.now(), QuerySet.update

        def late(rows: Any, **changes: Any) -> int:
            if changes.get("zips") == 1:
                before(ShareLink.objects.filter(pk=link.pk), **changes)
            return before(rows, **changes)

        monkeypatch.setattr(QuerySet, "update", late)

        assert sharing.zipped_assets(link=link, most=1, now=now)
        assert ShareLink.objects.get(pk=link.pk).zips == 2

    @pytest.mark.parametrize(("most", "sentence"), [(0, "At most 0 frames"), (500, "There is nothing to download.")])
    def test_says_what_it_cannot_hold(
        self,
        asset: Asset,
        collection: Collection,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        most: int,
        sentence: str,
    ) -> None:
        monkeypatch.setattr(visits, "MOST_IN_ZIP", most)
        if most:
            trash_asset(asset=asset, now=timezone.now())

        refused = client.get(at(share(collection), "download"))

        assert refused.status_code == 422 and sentence in said(refused)

    def test_is_offered_with_a_collection(self, collection: Collection, client: Client) -> None:
        link = share(collection)

        assert f'href="{at(link, "download")}"' in said(client.get(at(link)))
