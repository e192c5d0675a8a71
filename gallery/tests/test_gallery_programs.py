"""What programs do with a gallery beside looking: tags, collections, references, shares, and many assets at once."""

import zipfile
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from gallery import library
from gallery.models import Asset, Collection, ShareLink
from gallery.tests.making import make_asset
from gallery.tests.test_gallery_api import picture

GALLERY = "/api/gallery"


@pytest.fixture
def lake(owner: User) -> Asset:
    return make_asset(owner=owner)


def post(client: Client, path: str, body: Any) -> Any:
    return client.post(f"{GALLERY}{path}", body, content_type="application/json")


def organise(client: Client, *assets: Asset, **change: Any) -> Any:
    return post(client, "/organise", {"assets": [str(asset.pk) for asset in assets], **change})


class TestOrganise:
    def test_changes_all_at_once(self, owners: Client, lake: Asset) -> None:
        done = organise(owners, lake, addTags=["dusk", "water"], category="places", favourite=True, collect="Night")

        shown = owners.get(f"{GALLERY}/assets/{lake.pk}").json()
        assert done.json() == {"changed": 1}
        assert (shown["tags"], shown["category"], shown["favourite"]) == (["dusk", "water"], "places", True)
        assert len(owners.get(f"{GALLERY}/assets?collection=Night").json()["results"]) == 1

    def test_passes_over_another_s(self, strangers: Client, lake: Asset) -> None:
        assert organise(strangers, lake, favourite=True).json() == {"changed": 0}
        assert not Asset.objects.get().favourite

    def test_names_what_it_does_not_know(self, owners: Client, lake: Asset) -> None:
        refused = organise(owners, lake, category="nowhere")

        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == ["category"]


class TestNames:
    def test_are_read_page_by_page(self, owners: Client, lake: Asset) -> None:
        organise(owners, lake, addTags=["c", "a", "b"])

        first = owners.get(f"{GALLERY}/tags?page_size=2").json()
        rest = owners.get(first["next"]).json()

        assert [tag["name"] for tag in first["results"] + rest["results"]] == ["a", "b", "c"]
        assert (first["results"][0]["count"], rest["next"], rest["previous"]) == (1, None, None)

    def test_of_collections_are_made_changed_and_removed(self, owners: Client, lake: Asset) -> None:
        made = post(owners, "/collections", {"name": "  Night   shoot "})
        address = f"{GALLERY}/collections/{made.json()['id']}"
        organise(owners, lake, collect="Night shoot")

        renamed = owners.patch(address, {"name": "Day"}, content_type="application/json")
        shown = owners.get(address).json()
        removed = owners.delete(address)

        assert made.status_code == 201
        assert renamed.json() == {"changed": 0, "finished": True}
        assert (shown["name"], shown["count"]) == ("Day", 1)
        assert removed.json() == {"changed": 1, "finished": True}
        assert not Collection.objects.exists()
        assert Asset.objects.kept().count() == 1

    def test_that_are_taken_are_merged_only_on_request(self, owners: Client, lake: Asset) -> None:
        organise(owners, lake, addTags=["lake", "water"])
        number = owners.get(f"{GALLERY}/tags").json()["results"][0]["id"]

        taken = owners.patch(f"{GALLERY}/tags/{number}", {"name": "water"}, content_type="application/json")
        merged = owners.patch(
            f"{GALLERY}/tags/{number}", {"name": "water", "merge": True}, content_type="application/json"
        )

        assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
        assert merged.json()["changed"] == 1
        assert [tag["name"] for tag in owners.get(f"{GALLERY}/tags").json()["results"]] == ["water"]

    def test_of_categories_stand_beside_those_of_everybody(self, owners: Client) -> None:
        post(owners, "/categories", {"name": "Exteriors"})

        shown = owners.get(f"{GALLERY}/categories").json()

        assert [category["name"] for category in shown["results"]] == ["Exteriors"]
        assert "places" in shown["builtIn"]
        assert post(owners, "/categories", {"name": "Places"}).status_code == 409

    def test_are_never_empty(self, owners: Client) -> None:
        for path in ("/collections", "/categories"):
            assert [error["field"] for error in post(owners, path, {"name": " "}).json()["errors"]] == ["name"]


class TestReference:
    def point(self, client: Client, name: str, asset: Asset) -> Any:
        body = {"assetId": str(asset.pk)}
        return client.put(f"{GALLERY}/references/{name}", body, content_type="application/json")

    def test_moves_from_one_asset_to_another(self, owners: Client, owner: User, lake: Asset) -> None:
        hill = make_asset(owner=owner)
        self.point(owners, "hero", lake)

        moved = self.point(owners, "hero", hill)

        assert moved.json()["assetId"] == str(hill.pk)
        assert [row["version"] for row in owners.get(f"{GALLERY}/references/hero").json()["versions"]] == [2, 1]
        assert owners.get(f"{GALLERY}/references").json()["results"] == [{"name": "hero", "assetId": str(hill.pk)}]

    def test_is_taken_off(self, owners: Client, lake: Asset) -> None:
        self.point(owners, "hero", lake)

        assert owners.delete(f"{GALLERY}/references/hero").status_code == 204
        assert owners.get(f"{GALLERY}/references/hero").status_code == 404

    def test_points_at_no_asset_of_another(self, strangers: Client, lake: Asset) -> None:
        assert self.point(strangers, "hero", lake).status_code == 422
        assert Asset.objects.get().reference_name == ""


class TestShare:
    def make(self, client: Client, asset: Asset, **more: Any) -> Any:
        until = (timezone.now() + timedelta(days=2)).isoformat()
        return post(client, f"/assets/{asset.pk}/shares", {"expiresAt": until, **more})

    def test_leads_visitors_to_the_asset_until_it_is_revoked(self, owners: Client, lake: Asset) -> None:
        made = self.make(owners, lake).json()
        visitor = Client()
        path = "/" + made["url"].partition("://")[2].partition("/")[2]

        before = visitor.get(path).status_code
        ended = owners.delete(f"{GALLERY}/shares/{made['id']}").status_code

        assert (before, ended, visitor.get(path).status_code) == (200, 204, 404)
        assert [link["state"] for link in owners.get(f"{GALLERY}/shares").json()["results"]] == ["revoked"]

    def test_ends_at_a_moment_in_utc_wherever_the_studio_is(self, owners: Client, lake: Asset) -> None:
        until = (timezone.now() + timedelta(days=3)).replace(microsecond=0)

        with timezone.override("Asia/Tokyo"):
            made = self.make(owners, lake, expiresAt=until.isoformat())

        assert made.json()["expiresAt"] == f"{until:%Y-%m-%dT%H:%M:%S}Z"

    def test_tells_that_it_has_a_password_and_not_which(self, owners: Client, lake: Asset) -> None:
        made = self.make(owners, lake, password="open sesame").json()

        assert made["hasPassword"] is True
        assert "sesame" not in str(made)
        assert ShareLink.objects.get().password != "open sesame"

    @pytest.mark.parametrize("until", ["2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "soon", None])
    def test_ends_within_a_year(self, owners: Client, lake: Asset, until: Any) -> None:
        refused = self.make(owners, lake, expiresAt=until)

        assert [error["field"] for error in refused.json()["errors"]] == ["expiresAt"]


class TestMany:
    def test_are_trashed_and_restored_together(self, owners: Client, lake: Asset) -> None:
        trashed = post(owners, "/trash", {"assets": [str(lake.pk)]}).json()
        lying = owners.get(f"{GALLERY}/assets?trash=true").json()["results"]
        restored = post(owners, "/restore", {"trashedAt": trashed["trashedAt"]}).json()

        assert (trashed["changed"], len(lying), restored["changed"]) == (1, 1, 1)
        assert Asset.objects.kept().count() == 1

    def test_come_as_a_zip(self, owners: Client, lake: Asset) -> None:
        organise(owners, lake, collect="Night")
        number = Collection.objects.get().pk

        chosen = post(owners, "/download", {"assets": [str(lake.pk)]})
        collected = owners.get(f"{GALLERY}/collections/{number}/download", headers={"Accept": "application/zip"})

        for answer in (chosen, collected):
            assert answer["Content-Type"] == "application/zip"
            with zipfile.ZipFile(BytesIO(b"".join(answer))) as archive:
                assert len(archive.namelist()) == 2

    def test_that_are_another_s_come_in_no_zip(self, strangers: Client, lake: Asset) -> None:
        assert post(strangers, "/download", {"assets": [str(lake.pk)]}).status_code == 422


class TestAnswer:
    def test_is_told_as_unchanged_until_it_changes(self, owners: Client, lake: Asset) -> None:
        address = f"{GALLERY}/assets/{lake.pk}"
        etag = owners.get(address)["ETag"]

        same = owners.get(address, headers={"If-None-Match": f'"x", W/{etag}'})
        organise(owners, lake, favourite=True)
        other = owners.get(address, headers={"If-None-Match": etag})

        assert (same.status_code, same.content, same["ETag"]) == (304, b"", etag)
        assert (other.status_code, other["ETag"] != etag) == (200, True)

    def test_says_how_many_uploads_are_left(self, owners: Client, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        first = owners.post(f"{GALLERY}/assets", {"file": picture()})
        monkeypatch.setattr(library, "uploads_left", lambda **_: 0)
        refused = owners.post(f"{GALLERY}/assets", {"file": picture()})

        assert (first["RateLimit-Limit"], first["RateLimit-Remaining"]) == ("60", "59")
        assert (refused.status_code, refused["Retry-After"], refused["RateLimit-Remaining"]) == (429, "60", "0")
