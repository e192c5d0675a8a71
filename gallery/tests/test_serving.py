"""The stored bytes over HTTP: to whom, in which pieces, under which headers."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import AsyncClient, Client
from django.utils import timezone

from accounts import tokens
from accounts.models import User
from gallery import storage
from gallery.models import Asset
from gallery.tests import samples
from gallery.tests.making import derived, make_asset, make_film
from gallery.tests.s3server import S3Server
from gallery.web.ranges import NotSatisfiable, asked_range

WHAT = ["file", "thumbnail", "thumbnail/320", "poster", "preview"]


def content(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else bytes(response.content)


def stored(asset: Asset) -> bytes:
    with storage.as_file(asset.storage_key) as path:
        return path.read_bytes()


class TestAccess:
    @pytest.mark.parametrize("what", WHAT)
    def test_is_for_the_owner_alone(
        self, owner: User, owners: Client, strangers: Client, client: Client, what: str
    ) -> None:
        asset = derived(make_film(owner=owner))
        address = f"/assets/{asset.pk}/{what}"

        assert owners.get(address).status_code == 200
        assert strangers.get(address).status_code == 404
        assert client.get(address).status_code == 404

    @pytest.mark.parametrize("what", WHAT)
    def test_is_for_the_owners_token_too(self, owner: User, stranger: User, client: Client, what: str) -> None:
        asset = derived(make_film(owner=owner))
        statuses = {}
        for person in (owner, stranger):
            _, token = tokens.create_token(user=person, name="t", expires_at=None, now=timezone.now())
            statuses[person] = client.get(
                f"/assets/{asset.pk}/{what}", headers={"Authorization": f"Bearer {token}"}
            ).status_code

        assert statuses == {owner: 200, stranger: 404}

    def test_ends_with_the_token(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)
        row, token = tokens.create_token(user=owner, name="t", expires_at=None, now=timezone.now())
        tokens.revoke(token=row, now=timezone.now())

        for client in (Client(), owners):
            got = client.get(f"/assets/{asset.pk}/file", headers={"Authorization": f"Bearer {token}"})
            assert got.status_code == 404

    @pytest.mark.parametrize("what", WHAT)
    def test_finds_nothing_that_is_not_there(self, owners: Client, what: str) -> None:
        assert owners.get(f"/assets/{uuid4()}/{what}").status_code == 404

    @pytest.mark.parametrize("what", WHAT[1:])
    def test_finds_no_derivative_before_it_is_made(self, owner: User, owners: Client, what: str) -> None:
        assert owners.get(f"/assets/{make_asset(owner=owner).pk}/{what}").status_code == 404

    @pytest.mark.parametrize("what", ["thumbnail/0", "thumbnail/319", "thumbnail/99999999999999999999", "thumbnail/x"])
    def test_finds_only_the_widths_there_are(self, owner: User, owners: Client, what: str) -> None:
        asset = derived(make_film(owner=owner))

        assert owners.get(f"/assets/{asset.pk}/{what}").status_code == 404

    def test_survives_a_file_that_went_missing(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)
        storage.delete(asset.storage_key)

        assert owners.get(f"/assets/{asset.pk}/file").status_code == 404

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_changes_nothing(self, owner: User, owners: Client, method: str) -> None:
        assert getattr(owners, method)(f"/assets/{make_asset(owner=owner).pk}/file").status_code == 405


class TestHeaders:
    def test_keep_content_from_acting_on_our_origin(self, owner: User, owners: Client) -> None:
        response = owners.get(f"/assets/{make_asset(owner=owner).pk}/file")

        assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Cross-Origin-Resource-Policy"] == "same-origin"
        assert response["Content-Type"] == "image/png"
        assert response["Cache-Control"].startswith("private")
        assert "Cookie" in response["Vary"]
        assert "Content-Disposition" not in response

    @pytest.mark.parametrize(
        ("what", "content_type"), [("thumbnail/320", "image/webp"), ("poster", "image/webp"), ("preview", "video/mp4")]
    )
    def test_are_those_of_derivatives_too(self, owner: User, owners: Client, what: str, content_type: str) -> None:
        response = owners.get(f"/assets/{derived(make_film(owner=owner)).pk}/{what}")

        assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert (response["Content-Type"], response["X-Content-Type-Options"]) == (content_type, "nosniff")

    def test_attach_what_is_not_on_the_list(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)
        Asset.objects.update(content_type="text/html")

        response = owners.get(f"/assets/{asset.pk}/file")

        assert response["Content-Type"] == "application/octet-stream"
        assert response["Content-Disposition"].startswith("attachment")

    def test_name_downloads_by_words_and_number(self, owner: User, owners: Client) -> None:
        generated = make_asset(owner=owner, frame_number=461, prompt='"; evil\r\nX: ../y')
        titled = make_asset(owner=owner, frame_number=462)
        uploaded = make_asset(owner=owner, generated=False)
        Asset.objects.filter(pk=titled.pk).update(title="Älv i dimma 霧")

        got = [
            owners.get(f"/assets/{asset.pk}/file?download=1")["Content-Disposition"]
            for asset in (generated, titled, uploaded)
        ]

        assert got[0] == 'attachment; filename="evil-X-y-461.png"'
        assert got[1] == (
            "attachment; filename=\"Alv-i-dimma-462.png\"; filename*=UTF-8''%C3%84lv-i-dimma-%E9%9C%A7-462.png"
        )
        assert got[2] == 'attachment; filename="upload-20260701-120000.png"'


class TestRanges:
    @pytest.mark.parametrize(
        ("header", "asked"),
        [
            ("", None),
            ("bytes=0-", (0, 99)),
            ("bytes=0-0", (0, 0)),
            ("bytes=10-19", (10, 19)),
            ("bytes=90-500", (90, 99)),
            ("bytes=-10", (90, 99)),
            ("bytes=-500", (0, 99)),
            ("bytes=5-3", None),
            ("bytes=-", None),
            ("bytes=0-1,5-6", None),
            ("items=0-1", None),
            ("bytes=a-b", None),
            ("bytes=0-" + "9" * 30, None),
        ],
    )
    def test_are_read(self, header: str, asked: tuple[int, int] | None) -> None:
        assert asked_range(header, size=100) == asked

    @pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
    def test_behind_the_end_cannot_be_met(self, header: str) -> None:
        with pytest.raises(NotSatisfiable):
            asked_range(header, size=100)

    def test_are_served(self, owner: User, owners: Client) -> None:
        asset = make_film(owner=owner)
        whole = stored(asset)

        response = owners.get(f"/assets/{asset.pk}/file", headers={"Range": "bytes=10-19"})

        assert response.status_code == 206
        assert response["Content-Range"] == f"bytes 10-19/{len(whole)}"
        assert response["Content-Length"] == "10"
        assert content(response) == whole[10:20]

    def test_are_refused_behind_the_end(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)

        response = owners.get(f"/assets/{asset.pk}/file", headers={"Range": "bytes=999999-"})

        assert response.status_code == 416
        assert response["Content-Range"] == f"bytes */{asset.size_bytes}"

    def test_hold_only_for_the_version_they_name(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)
        address = f"/assets/{asset.pk}/file"

        same = owners.get(address, headers={"Range": "bytes=0-4", "If-Range": f'"{asset.sha256}"'})
        other = owners.get(address, headers={"Range": "bytes=0-4", "If-Range": '"other"'})

        assert (same.status_code, other.status_code) == (206, 200)
        assert content(other) == stored(asset)

    def test_are_offered_by_head(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)

        response = owners.head(f"/assets/{asset.pk}/file")

        assert (response.status_code, response.content) == (200, b"")
        assert response["Accept-Ranges"] == "bytes"
        assert response["Content-Length"] == str(asset.size_bytes)
        assert response["ETag"] == f'"{asset.sha256}"'

    def test_are_not_needed_for_what_the_browser_has(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)

        response = owners.get(f"/assets/{asset.pk}/file", headers={"If-None-Match": f'"{asset.sha256}"'})

        assert (response.status_code, response.content) == (304, b"")


class TestStreaming:
    def test_goes_in_chunks(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)
        with storage.as_file(asset.storage_key) as path, path.open("r+b") as file:
            file.truncate(1_000_000)

        response: Any = owners.get(f"/assets/{asset.pk}/file")

        chunks: list[bytes] = list(response.streaming_content)
        assert max(map(len, chunks)) <= 256 * 1024
        assert sum(map(len, chunks)) == 1_000_000

    @pytest.mark.django_db(transaction=True)
    async def test_goes_in_chunks_from_an_event_loop(self) -> None:
        owner = await User.objects.acreate(username="async")
        asset = await sync_to_async(make_asset)(owner=owner)
        client = AsyncClient()
        await client.aforce_login(owner)

        response: Any = await client.get(f"/assets/{asset.pk}/file", headers={"Range": "bytes=0-9"})

        assert response.is_async
        chunks: AsyncIterator[bytes] = response.streaming_content
        assert b"".join([chunk async for chunk in chunks]) == stored(asset)[:10]
        await sync_to_async(lambda: connection.close())()


class TestS3:
    def test_leads_to_a_fresh_signed_address(self, in_s3: S3Server, owner: User, owners: Client) -> None:
        asset = derived(make_film(owner=owner))

        for what in WHAT:
            response = owners.get(f"/assets/{asset.pk}/{what}")

            assert response.status_code == 302
            assert response["Location"].startswith(in_s3.endpoint_url)
            assert "X-Amz-Signature" in response["Location"]
            assert "private" in response["Cache-Control"]

    def test_leads_nobody_else_there(self, in_s3: S3Server, owner: User, strangers: Client, client: Client) -> None:
        asset = make_asset(owner=owner)

        assert strangers.get(f"/assets/{asset.pk}/file").status_code == 404
        assert client.get(f"/assets/{asset.pk}/file").status_code == 404


class TestOwnership:
    def test_stays_after_the_trash(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner, content=samples.picture("JPEG"))
        Asset.objects.update(trashed_at=timezone.now() - timedelta(days=1))

        assert owners.get(f"/assets/{asset.pk}/file").status_code == 200
