"""The gallery's pages, with and without script."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from gallery import descriptions, trash
from gallery.models import Asset
from gallery.tests import samples
from gallery.tests.making import NOW, make_asset, make_film
from gallery.web import browsing

HTMX = {"HX-Request": "true"}


class TestAccess:
    def test_asks_everybody_else_to_sign_in(self, owner: User, client: Client) -> None:
        asset = make_asset(owner=owner)

        for address in ("/gallery/", f"/gallery/{asset.pk}/"):
            response = client.get(address)
            assert response.status_code == 302
            assert "/login/" in response["Location"]
        for action in ("favourite", "trash", "restore"):
            assert client.post(f"/gallery/{asset.pk}/{action}").status_code == 302
        assert client.post("/gallery/upload").status_code == 302

    def test_shows_a_stranger_nothing(self, owner: User, strangers: Client) -> None:
        asset = make_asset(owner=owner)

        assert str(asset.pk) not in strangers.get("/gallery/").content.decode()
        assert "moved to trash" not in strangers.get(f"/gallery/?trashed={asset.pk}").content.decode()
        assert strangers.get(f"/gallery/{asset.pk}/").status_code == 404
        assert strangers.post(f"/gallery/{asset.pk}/", {"title": "mine"}).status_code == 404
        for action in ("favourite", "trash", "restore"):
            assert strangers.post(f"/gallery/{asset.pk}/{action}").status_code == 404
        asset.refresh_from_db()
        assert (asset.title, asset.trashed_at, asset.favourite) == ("", None, False)

    @pytest.mark.parametrize("action", ["favourite", "trash", "restore"])
    def test_changes_nothing_by_get(self, owner: User, owners: Client, action: str) -> None:
        assert owners.get(f"/gallery/{make_asset(owner=owner).pk}/{action}").status_code == 405

    def test_finds_nothing_that_is_not_there(self, owners: Client) -> None:
        assert owners.get(f"/gallery/{uuid4()}/").status_code == 404


class TestGallery:
    def test_shows_frames_with_their_numbers_and_shapes(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner, frame_number=461)

        page = owners.get("/gallery/").content.decode()

        assert f'<li class="frame r-16x9" id="asset-{asset.pk}">' in page
        assert '<span class="edge__no">461</span>' in page
        assert f'href="/gallery/{asset.pk}/"' in page

    def test_tells_the_pictures_of_one_generation_apart(self, owner: User, owners: Client) -> None:
        for index in range(2):
            make_asset(owner=owner, frame_number=7, output_index=index)

        page = owners.get("/gallery/").content.decode()

        assert '<span class="edge__no">7</span>' in page and '<span class="edge__no">7.2</span>' in page

    def test_teaches_when_empty(self, owners: Client) -> None:
        assert "Nothing on the table yet" in owners.get("/gallery/").content.decode()
        assert "Nothing here fits" in owners.get("/gallery/?kind=video").content.decode()
        assert "The trash is empty" in owners.get("/gallery/?trash=1").content.decode()

    @pytest.mark.parametrize(
        "query",
        ["kind=nonsense", "cursor=nonsense", "size=xl", "trashed=x", "favourite=7"],
    )
    def test_survives_nonsense(self, owner: User, owners: Client, query: str) -> None:
        make_asset(owner=owner)

        assert owners.get(f"/gallery/?{query}").status_code == 200

    def test_escapes_what_people_write(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner, prompt="<script>alert(1)</script>")
        descriptions.update_asset(asset=asset, changes={"title": '"><img src=x>', "tags": ["<b>"]}, now=NOW)

        for address in ("/gallery/?q=%3Cscript%3E", "/gallery/?tag=%3Cb%3E", f"/gallery/{asset.pk}/"):
            page = owners.get(address).content.decode()
            assert "<script>alert" not in page
            assert "<img src=x>" not in page
            assert "<b>" not in page.partition("<main")[2].replace('<b class="', "").partition('id="empty"')[0]

    def test_leads_on_by_a_plain_link(self, owner: User, owners: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(browsing, "FRAMES", 2)
        for number in range(5):
            make_asset(owner=owner, frame_number=number + 1, now=NOW + timedelta(seconds=number // 3))
        newest_first = list(Asset.objects.values_list("pk", flat=True))

        seen, address = [], "/gallery/"
        while address:
            page = owners.get(address).context["frames"]
            seen += [asset.pk for asset in page.assets]
            address = page.older and f"/gallery/{page.older}"

        assert seen == newest_first

    def test_appends_by_htmx(self, owner: User, owners: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(browsing, "FRAMES", 2)
        for _ in range(3):
            make_asset(owner=owner)
        older = owners.get("/gallery/").context["frames"].older

        fragment = owners.get(f"/gallery/{older}", headers=HTMX).content.decode()

        assert "<html" not in fragment
        assert fragment.count('<li class="frame') == 1
        assert 'id="older"' in fragment and "hx-swap-oob" in fragment

    def test_asks_the_database_equally_often(self, owner: User, owners: Client, django_assert_num_queries: Any) -> None:
        make_asset(owner=owner)
        owners.get("/gallery/")
        with CaptureQueriesContext(connection) as one:
            owners.get("/gallery/")
        for _ in range(9):
            make_asset(owner=owner)

        with django_assert_num_queries(len(one)):
            owners.get("/gallery/")
        assert len(one) <= 6
        counting = [query["sql"] for query in one if "count(" in query["sql"].lower() and "asset" in query["sql"]]
        assert all(sql.count("count(") == sql.count("LIMIT 100) c") for sql in counting)


class TestAsset:
    def test_shows_what_is_known(self, owner: User, owners: Client) -> None:
        source = make_asset(owner=owner, frame_number=460)
        asset = make_asset(owner=owner, made_from=[source.pk], settings={"aspect_ratio": "16:9", "image_input": ["x"]})
        result = make_film(owner=owner, frame_number=462, made_from=[asset.pk])

        page = owners.get(f"/gallery/{asset.pk}/").content.decode()

        for shown in (
            "Frame 461",
            "A still lake at blue hour",
            "google/nano-banana",
            "829114203",
            "$0.039",
            "Aspect ratio",
            f"/?reference={asset.pk}",
            f"/?type=video&amp;image={asset.pk}",
            f"/?reuse={asset.prediction_id}",
            f"/gallery/{source.pk}/",
            f"/gallery/{result.pk}/",
        ):
            assert shown in page

    def test_spells_no_setting_as_a_program_does(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner, settings={"aspect_ratio": "match_input_image", "go_fast": True})

        page = owners.get(f"/gallery/{asset.pk}/").content.decode()

        assert "<dd>auto</dd>" in page and "<dd>yes</dd>" in page

    def test_plays_a_film(self, owner: User, owners: Client) -> None:
        asset = make_film(owner=owner)
        Asset.objects.update(poster_key="x")

        page = owners.get(f"/gallery/{asset.pk}/").content.decode()

        assert "<video controls" in page
        assert f'poster="/assets/{asset.pk}/poster"' in page
        assert "Animate" not in page

    def test_keeps_what_its_owner_says(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)

        response = owners.post(
            f"/gallery/{asset.pk}/",
            {"title": "Lake", "reference_name": "@lake", "tags": "blue hour, lake", "category": "places"},
        )

        assert response.status_code == 302
        asset.refresh_from_db()
        assert (asset.title, asset.reference_name, asset.category) == ("Lake", "lake", "places")
        assert asset.tags.count() == 2

    def test_says_what_cannot_be_kept(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)

        response = owners.post(f"/gallery/{asset.pk}/", {"reference_name": "two words", "title": "Lake"})

        assert response.status_code == 422
        assert "A reference name has letters" in response.content.decode()
        asset.refresh_from_db()
        assert asset.title == ""

    def test_points_out_equal_bytes_of_its_owner(self, owner: User, owners: Client, stranger: User) -> None:
        asset, twin = make_asset(owner=owner, frame_number=1), make_asset(owner=owner, frame_number=2)
        trashed, theirs = make_asset(owner=owner, frame_number=3), make_asset(owner=stranger, frame_number=4)
        other = make_asset(owner=owner, content=samples.picture(size=(8, 8)), frame_number=5)
        trash.trash_asset(asset=trashed, now=NOW)

        page = owners.get(f"/gallery/{asset.pk}/").content.decode()
        said = page.partition('id="twins"')[2].partition("</p>")[0]

        assert said == f'>Same file as <a href="/gallery/{twin.pk}/">frame 2</a>.'
        assert theirs.sha256 == asset.sha256
        assert 'id="twins"' not in owners.get(f"/gallery/{other.pk}/").content.decode()

    def test_asks_the_database_little(self, owner: User, owners: Client, django_assert_max_num_queries: Any) -> None:
        asset = make_asset(owner=owner, made_from=[make_asset(owner=owner).pk])

        with django_assert_max_num_queries(15):
            owners.get(f"/gallery/{asset.pk}/")


class TestFavourite:
    def test_answers_htmx_with_the_star(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)

        star = owners.post(f"/gallery/{asset.pk}/favourite", {"favourite": "true"}, headers=HTMX).content.decode()

        assert star.startswith(f'<button class="star" id="star-{asset.pk}"')
        assert 'aria-pressed="true"' in star and 'value="false"' in star
        assert Asset.objects.get().favourite

    def test_leads_back_without_script(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)

        inside = owners.post(f"/gallery/{asset.pk}/favourite", {"favourite": "true", "next": "/gallery/?kind=image"})
        outside = owners.post(f"/gallery/{asset.pk}/favourite", {"favourite": "false", "next": "//evil.example"})

        assert inside["Location"] == "/gallery/?kind=image"
        assert outside["Location"] == f"/gallery/{asset.pk}/"


class TestTrash:
    def test_offers_to_undo(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)

        page = owners.post(f"/gallery/{asset.pk}/trash", follow=True).content.decode()

        assert "Frame 461 moved to trash." in page
        assert f'id="asset-{asset.pk}"' not in page
        assert f'id="asset-{asset.pk}"' in owners.get("/gallery/?trash=1").content.decode()

        owners.post(f"/gallery/{asset.pk}/restore")
        assert f'id="asset-{asset.pk}"' in owners.get("/gallery/").content.decode()

    def test_stays_with_the_filters(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)

        put_aside = owners.post(f"/gallery/{asset.pk}/trash", {"next": "/gallery/?kind=image"})
        assert put_aside["Location"] == f"/gallery/?kind=image&trashed={asset.pk}"
        assert 'name="next" value="/gallery/?kind=image"' in owners.get(put_aside["Location"]).content.decode()

        restored = owners.post(f"/gallery/{asset.pk}/restore", {"next": "/gallery/?kind=image"})
        assert restored["Location"] == "/gallery/?kind=image"

    def test_leads_nowhere_else(self, owner: User, owners: Client) -> None:
        asset = make_asset(owner=owner)

        put_aside = owners.post(f"/gallery/{asset.pk}/trash", {"next": "https://evil.example/"})

        assert put_aside["Location"] == f"/gallery/?trashed={asset.pk}"


class TestUse:
    @pytest.mark.parametrize(
        ("known", "offered"),
        [
            ({"due_at": NOW}, True),
            ({"due_at": None, "thumbnail_key": "some"}, True),
            ({"due_at": None}, False),
        ],
    )
    def test_is_offered_of_what_can_be_shown(
        self, owner: User, owners: Client, known: dict[str, Any], offered: bool
    ) -> None:
        asset = make_asset(owner=owner)
        Asset.objects.filter(pk=asset.pk).update(**known)

        shown = owners.get(f"/gallery/{asset.pk}/").content.decode()

        assert ("Use as reference" in shown) == ("Animate" in shown) == offered


class TestUpload:
    def test_leads_to_the_gallery_whoever_opens_its_address(self, owners: Client) -> None:
        assert owners.get("/gallery/upload")["Location"] == "/gallery/"

    def test_shows_the_picture_it_kept(self, owner: User, owners: Client) -> None:
        response = owners.post("/gallery/upload", {"file": SimpleUploadedFile("lake.png", samples.picture())})

        assert response["Location"] == f"/gallery/{Asset.objects.get().pk}/"

    @pytest.mark.parametrize("body", [{}, {"file": SimpleUploadedFile("lake.png", b"text")}])
    def test_says_what_cannot_be_kept(self, owners: Client, body: dict[str, Any]) -> None:
        response = owners.post("/gallery/upload", body)

        assert response.status_code == 422
        assert 'id="upload-errors"' in response.content.decode()

    def test_keeps_several_and_names_what_it_cannot(self, owner: User, owners: Client) -> None:
        files = [SimpleUploadedFile(f"{name}.png", samples.picture()) for name in ("lake", "shore")]

        assert owners.post("/gallery/upload", {"file": files})["Location"] == "/gallery/"
        bad = SimpleUploadedFile("<b>.png", b"text")
        files = [SimpleUploadedFile("sea.png", samples.picture()), bad]
        refused = owners.post("/gallery/upload", {"file": files})

        assert sorted(Asset.objects.values_list("title", flat=True)) == ["lake", "sea", "shore"]
        assert refused.status_code == 422
        text = refused.content.decode()
        assert "&lt;b&gt;.png: " in text and "1 picture uploaded." in text

    def test_answers_a_script_with_a_frame_or_a_sentence(self, owners: Client, strangers: Client) -> None:
        script = {"HX-Request": "true"}
        kept = owners.post(
            "/gallery/upload", {"file": SimpleUploadedFile("lake.png", samples.picture())}, headers=script
        )
        refused = owners.post("/gallery/upload", {"file": SimpleUploadedFile("lake.png", b"text")}, headers=script)
        asset = Asset.objects.get()
        address = f"/gallery/{asset.pk}/frame"

        assert (kept.status_code, kept["Location"]) == (201, f"/gallery/{asset.pk}/")
        assert f'hx-get="{address}"' in kept.content.decode()
        assert refused.status_code == 422 and refused["Content-Type"].startswith("text/plain")
        Asset.objects.filter(pk=asset.pk).update(thumbnail_key="some", due_at=None)
        assert "hx-trigger" not in owners.get(address).content.decode().partition("frame__box")[0]
        assert strangers.get(address).status_code == 404
