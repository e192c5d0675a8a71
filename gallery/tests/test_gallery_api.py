"""Assets over the API: as owner, as stranger, as nobody, and with nonsense."""

from datetime import timedelta
from itertools import chain
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import tokens
from accounts.api.cursor import Cursor
from accounts.models import User
from gallery import descriptions, library, trash
from gallery.models import Asset
from gallery.storage import StorageError
from gallery.tests import samples
from gallery.tests.making import NOW, make_asset, make_film

ASSETS = "/api/gallery/assets"


def picture(content: bytes | None = None, name: str = "lake.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, samples.picture() if content is None else content, content_type="text/html")


def patch(client: Client, asset: Asset, body: Any) -> Any:
    return client.patch(f"{ASSETS}/{asset.pk}", body, content_type="application/json")


class TestList:
    def test_shows_an_asset_as_agreed(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)
        descriptions.update_asset(asset=asset, changes={"tags": ["lake", "blue hour"]}, now=NOW)

        got = owners.get(ASSETS).json()

        assert got == {
            "next": None,
            "previous": None,
            "results": [
                {
                    "id": str(asset.pk),
                    "kind": "image",
                    "url": f"/assets/{asset.pk}/file",
                    "thumbnailUrl": None,
                    "width": 64,
                    "height": 36,
                    "sizeBytes": asset.size_bytes,
                    "contentType": "image/png",
                    "prompt": "A still lake at blue hour",
                    "model": "google/nano-banana",
                    "predictionId": str(asset.prediction_id),
                    "title": "",
                    "tags": ["blue hour", "lake"],
                    "category": "",
                    "favourite": False,
                    "referenceName": "",
                    "createdAt": "2026-07-01T12:00:00Z",
                }
            ],
        }

    def test_says_what_was_meant_where_nothing_was_found(self, owner: User, owners: Client, strangers: Client) -> None:
        asset = make_asset(owner=owner)
        cursor = Cursor.beside(asset)

        assert owners.get(f"{ASSETS}?q=lkae").json() == {
            "next": None,
            "previous": None,
            "results": [],
            "search": {"meantInstead": "lake"},
        }
        for q in ("lake", "lkae&kind=video", f"lkae&cursor={cursor}", "volcano"):
            assert "search" not in owners.get(f"{ASSETS}?q={q}").json()
        assert "search" not in strangers.get(f"{ASSETS}?q=lkae").json()

    def test_shows_only_ones_own(self, owner: User, strangers: Client, client: Client) -> None:
        make_asset(owner=owner)

        assert strangers.get(ASSETS).json()["results"] == []
        assert client.get(ASSETS).status_code == 401

    @pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
    @pytest.mark.parametrize("q", ["", "lake"])
    def test_takes_every_day_that_can_be_written(
        self, owner: User, owners: Client, settings: Settings, q: str, zone: str
    ) -> None:
        settings.TIME_ZONE = zone
        asset = make_asset(owner=owner)

        for given, is_within in {
            "since=0001-01-01": True,
            "until=9999-12-31": True,
            "since=0001-01-01&until=9999-12-31": True,
            "since=9999-12-31": False,
            "until=0001-01-01": False,
        }.items():
            found = owners.get(f"{ASSETS}?q={q}&{given}").json()["results"]
            assert [row["id"] for row in found] == [str(asset.pk)] * is_within, given
            assert owners.get(f"/gallery/?q={q}&{given}").status_code in (200, 302), given

    def test_leaves_out_the_trash(self, owner: User, owners: Client) -> None:
        trash.trash_asset(asset=make_asset(owner=owner), now=NOW)

        assert owners.get(ASSETS).json()["results"] == []

    def test_pages_both_ways_through_equal_times(self, owner: User, owners: Client) -> None:
        for number in range(7):
            make_asset(owner=owner, now=NOW + timedelta(seconds=number // 4))
        newest_first = [str(key) for key in Asset.objects.values_list("pk", flat=True)]

        seen, address = [], f"{ASSETS}?page_size=3"
        while address:
            page = owners.get(address).json()
            seen.append([asset["id"] for asset in page["results"]])
            last, address = page, page["next"]

        assert list(chain(*seen)) == newest_first
        assert [asset["id"] for asset in owners.get(last["previous"]).json()["results"]] == seen[1]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("kind=video", {"film"}),
            ("kind=image", {"lake", "upload"}),
            ("q=BLUE+hour", {"lake"}),
            ("q=hour+lake", {"lake"}),
            ("q=nothing", set()),
            ("model=bytedance/seedance-1-lite", {"film"}),
            ("tag=water", {"lake"}),
            ("category=places", {"film"}),
            ("favourite=true", {"upload"}),
            ("favourite=1", {"upload"}),
            ("favourite=false", {"lake", "film"}),
            ("origin=upload", {"upload"}),
            ("collection=x", set()),
            ("", {"lake", "film", "upload"}),
        ],
    )
    def test_filters(self, owner: User, owners: Client, query: str, found: set[str]) -> None:
        lake = make_asset(owner=owner)
        film = make_film(owner=owner, prompt="Waves", model="bytedance/seedance-1-lite")
        upload = make_asset(owner=owner, generated=False)
        descriptions.update_asset(asset=lake, changes={"title": "lake", "tags": ["water"]}, now=NOW)
        descriptions.update_asset(asset=film, changes={"title": "film", "category": "places"}, now=NOW)
        descriptions.update_asset(asset=upload, changes={"title": "upload", "favourite": True}, now=NOW)

        got = owners.get(f"{ASSETS}?{query}").json()

        assert {asset["title"] for asset in got["results"]} == found

    @pytest.mark.parametrize(
        "query",
        [
            "cursor=nonsense",
            "page_size=1000000000",
            "page_size=0",
            "page_size=x",
            "kind=sound",
            "q=" + "x" * 201,
            "favourite=maybe",
        ],
    )
    def test_refuses_nonsense_by_field(self, owners: Client, query: str) -> None:
        response = owners.get(f"{ASSETS}?{query}")

        assert response.status_code == 422
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["errors"][0]["field"] == query.partition("=")[0]

    def test_asks_the_database_equally_often(
        self, owner: User, owners: Client, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(9):
            descriptions.update_asset(asset=make_asset(owner=owner), changes={"tags": ["lake"]}, now=NOW)

        with django_assert_max_num_queries(4):
            assert len(owners.get(ASSETS).json()["results"]) == 9

    def test_answers_with_a_slash_too(self, owners: Client) -> None:
        assert owners.get(f"{ASSETS}/").status_code == 200


class TestUpload:
    def test_keeps_a_picture(self, owner: User, owners: Client) -> None:
        response = owners.post(
            ASSETS,
            {"file": picture(), "title": "Lake", "tags": ["a", "b,c"], "category": "places", "referenceName": "@lake"},
        )

        assert response.status_code == 201
        got = response.json()
        assert response["Location"] == f"{ASSETS}/{got['id']}"
        assert (got["title"], got["tags"], got["category"]) == ("Lake", ["a", "b", "c"], "places")
        assert (got["contentType"], got["referenceName"]) == ("image/png", "lake")
        assert "prompt" not in got

    def test_works_with_a_token(self, owner: User, client: Client) -> None:
        _, token = tokens.create_token(user=owner, name="t", expires_at=None, now=timezone.now())

        response = client.post(ASSETS, {"file": picture()}, headers={"Authorization": f"Bearer {token}"})

        assert response.status_code == 201

    def test_is_not_for_everybody(self, client: Client, db: None) -> None:
        assert client.post(ASSETS, {"file": picture()}).status_code == 401

    def test_is_guarded_against_foreign_forms(self, owner: User) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(owner)

        assert client.post(ASSETS, {"file": picture()}).status_code == 403

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [
            ({}, 422, "file"),
            ({"file": "text"}, 422, "file"),
            ({"file": picture(b"")}, 422, "file"),
            ({"file": picture(b"<svg/>")}, 422, "file"),
            ({"file": picture(samples.bomb())}, 422, "file"),
            ({"file": picture(), "category": "none such"}, 422, "category"),
            ({"file": picture(), "referenceName": "two words"}, 422, "referenceName"),
            ({"file": picture(), "title": "x" * 201}, 422, "title"),
        ],
    )
    def test_refuses_by_field(self, owners: Client, body: dict[str, Any], status: int, field: str) -> None:
        for value in body.values():
            if isinstance(value, SimpleUploadedFile):
                value.seek(0)

        response = owners.post(ASSETS, body)

        assert response.status_code == status
        assert response.json()["errors"][0]["field"] == field
        assert not Asset.objects.exists()

    def test_refuses_too_much(self, owners: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(library, "UPLOAD_BYTES", 10)

        assert owners.post(ASSETS, {"file": picture()}).status_code == 413

    def test_refuses_other_bodies(self, owners: Client) -> None:
        assert owners.post(ASSETS, "{}", content_type="application/json").status_code == 415

    def test_says_when_the_store_is_down(self, owners: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def put(**_: Any) -> None:
            raise StorageError("down")

        monkeypatch.setattr("gallery.storage.put", put)

        response = owners.post(ASSETS, {"file": picture()})

        assert response.status_code == 503
        assert int(response["Retry-After"]) > 0

    @pytest.mark.parametrize("name", ["../../x.png", "a\r\nb.png", "\u202egnp.png", "x" * 300 + ".png", "'\"<>.png"])
    def test_uses_no_name_as_a_path(self, owners: Client, name: str) -> None:
        response = owners.post(ASSETS, {"file": picture(name=name)})

        assert response.status_code == 201
        assert ".." not in Asset.objects.get().storage_key


class TestDetail:
    @pytest.mark.parametrize("method", ["get", "patch", "delete"])
    def test_is_for_the_owner_alone(self, owner: User, strangers: Client, client: Client, method: str) -> None:
        asset = make_asset(owner=owner)
        address = f"{ASSETS}/{asset.pk}"

        assert getattr(strangers, method)(address, content_type="application/json").status_code == 404
        assert getattr(client, method)(address, content_type="application/json").status_code == 401
        assert Asset.objects.kept().get() == asset

    def test_shows_a_film(self, owner: User, owners: Client) -> None:
        got = owners.get(f"{ASSETS}/{make_film(owner=owner).pk}").json()

        assert (got["kind"], got["durationSeconds"]) == ("video", pytest.approx(1, abs=0.15))

    def test_takes_what_may_be_changed(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)
        body = {"title": "Lake", "tags": ["a"], "category": "places", "favourite": True, "referenceName": "@lake"}

        got = patch(owners, asset, body).json()

        assert {name: got[name] for name in body} == body | {"referenceName": "lake"}

    @pytest.mark.parametrize(
        "field", ["owner", "costMicros", "cost_micros", "prompt", "model", "predictionId", "id", "reference_name", "x"]
    )
    def test_refuses_what_may_not(self, owner: User, owners: Client, field: str) -> None:
        asset = make_asset(owner=owner)
        before = Asset.objects.values().get()

        response = patch(owners, asset, {field: "1", "title": "x"})

        assert response.status_code == 400
        assert response.json()["errors"] == [{"field": field, "message": "This cannot be changed."}]
        assert Asset.objects.values().get() == before

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"title": 7}, 422),
            ({"tags": "lake"}, 422),
            ({"favourite": "true"}, 422),
            ({"referenceName": "two words"}, 422),
            ({"category": {}}, 422),
            ("[]", 400),
            ("nonsense", 400),
            ("{}", 200),
        ],
    )
    def test_refuses_nonsense(self, owner: User, owners: Client, body: Any, status: int) -> None:
        assert patch(owners, make_asset(owner=owner), body).status_code == status

    def test_moves_to_the_trash(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)

        assert owners.delete(f"{ASSETS}/{asset.pk}").status_code == 204

        assert owners.get(f"{ASSETS}/{asset.pk}").status_code == 404
        assert Asset.objects.get().trashed_at is not None

    def test_finds_nothing_that_is_not_there(self, owners: Client) -> None:
        assert owners.get(f"{ASSETS}/{uuid4()}").status_code == 404
        assert owners.get(f"{ASSETS}/nonsense").status_code == 404
