"""Tags, collections and categories renamed, merged and removed; and the pages where that is done."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client

from accounts.models import User
from gallery import descriptions, renaming, trash
from gallery.descriptions import InvalidDetails
from gallery.models import Asset, Collection, OwnCategory, Tag, Tagging
from gallery.organising import Change
from gallery.renaming import Moved, Named, NameTaken
from gallery.tests.making import NOW
from gallery.tests.test_search import enter, found, organise


def rename(row: Named, name: str, *, merging: bool = False) -> Moved:
    return renaming.rename(row=row, name=name, now=NOW, merging=merging)


def tagged(owner: User, *names: str, key: str = "lake", **changes: Any) -> Asset:
    asset = enter(owner, key, prompt="Waves", **changes)
    organise(owner, [asset], Change(add_tags=names))
    return asset


class TestTags:
    def test_are_renamed_wherever_they_are_looked_for(self, owner: User) -> None:
        tagged(owner, "water", "blue")

        assert rename(Tag.objects.get(name="water"), "  deep   sea ") == Moved(1, finished=True)

        assert found(owner, tag="deep sea") == found(owner, tag="deep sea", kind="image") == ["lake"]
        assert found(owner, q="deep") == found(owner, tag="blue") == ["lake"]
        assert found(owner, tag="water", kind="image") == found(owner, q="water") == []
        assert sorted(Tag.objects.values_list("name", flat=True)) == ["blue", "deep sea"]

    def test_are_merged_only_when_that_is_said(self, owner: User) -> None:
        both, one = tagged(owner, "lake", "lakes", key="both"), tagged(owner, "lakes", key="one", minutes=1)
        row = Tag.objects.get(name="lakes")

        with pytest.raises(NameTaken):
            rename(row, "lake")
        assert rename(row, "lake", merging=True) == Moved(2, finished=True)

        assert found(owner, tag="lake") == ["one", "both"]
        assert [tag.name for asset in (both, one) for tag in asset.tags.all()] == ["lake", "lake"]

    def test_are_not_merged_with_one_that_is_made_at_the_same_moment(
        self, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tagged(owner, "water")
        row, before = Tag.objects.get(), QuerySet.get_or_create

        def late(rows: Any, **asked: Any) -> Any:
            Tag.objects.create(owner=owner, name="sea")
            return before(rows, **asked)

        monkeypatch.setattr(QuerySet, "get_or_create", late)
        with pytest.raises(NameTaken):
            rename(row, "sea")

        assert found(owner, tag="water") == ["lake"]

    @pytest.mark.django_db(transaction=True)
    def test_stay_as_they_are_when_the_other_is_removed_at_the_same_moment(
        self, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tagged(owner, "water")
        row, before = Tag.objects.get(), renaming._place

        def late(row: Tag | Collection, to: Named | None, assets: list[Asset]) -> None:
            Tag.objects.filter(name="sea").delete()
            before(row, to, assets)

        monkeypatch.setattr(renaming, "_place", late)
        with pytest.raises(InvalidDetails):
            rename(row, "sea")

        assert found(owner, tag="water") == ["lake"]

    def test_are_taken_off_and_deleted(self, owner: User) -> None:
        tagged(owner, "lake", key="bare")
        tagged(owner, "lake", "blue", key="blue")

        assert renaming.remove(row=Tag.objects.get(name="lake")) == Moved(2, finished=True)

        assert found(owner, tagged=False) == found(owner, tagged=False, kind="image") == ["bare"]
        assert found(owner, q="lake") == []
        assert Tag.objects.get().name == "blue"

    def test_change_in_the_trash_too(self, owner: User) -> None:
        asset = tagged(owner, "water")
        trash.trash_asset(asset=asset, now=NOW)

        rename(Tag.objects.get(), "sea")
        assert found(owner, tag="sea") == []
        assert found(owner, tag="sea", trash=True) == ["lake"]

        trash.restore_asset(asset=asset)
        assert found(owner, tag="sea") == ["lake"]

    def test_go_on_where_a_rename_broke_off(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(renaming, "BATCH", 2)
        monkeypatch.setattr(renaming, "MOST_AT_ONCE", 4)
        for number in range(5):
            tagged(owner, "water", key=str(number), minutes=number)
        row = Tag.objects.get()

        assert rename(row, "sea") == Moved(4, finished=False)
        assert len(found(owner, tag="sea")) == 4 and len(found(owner, tag="water")) == 1
        assert rename(row, "sea", merging=True) == Moved(1, finished=True)

        assert found(owner, tag="sea") == ["4", "3", "2", "1", "0"]
        assert Tag.objects.get().name == "sea"

    def test_are_left_to_their_owner(self, owner: User, stranger: User) -> None:
        tagged(owner, "water", key="mine")
        tagged(stranger, "water", "sea", key="theirs")

        rename(Tag.objects.get(owner=owner), "sea")

        assert found(stranger, tag="water") == ["theirs"]
        assert Tagging.objects.filter(tag__owner=stranger).count() == 2

    @pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\x00b", "blue, sea"])
    def test_keep_their_name_when_the_new_one_is_none(self, owner: User, name: str) -> None:
        tagged(owner, "water")

        with pytest.raises(InvalidDetails):
            rename(Tag.objects.get(), name)

        assert found(owner, tag="water") == ["lake"]

    def test_given_while_they_go_make_the_remover_look_again(
        self, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tagged(owner, "water")
        late = enter(owner, "late", minutes=1)
        row, before = Tag.objects.get(), renaming.delete_empty
        meanwhile: list[Callable[[], None]] = [lambda: organise(owner, [late], Change(add_tags=["water"]))]

        def interrupted(row: Named) -> bool:
            if meanwhile:
                meanwhile.pop()()
            return before(row)

        monkeypatch.setattr(renaming, "delete_empty", interrupted)
        assert rename(row, "sea") == Moved(2, finished=True)

        assert found(owner, tag="sea") == ["late", "lake"]


class TestCollections:
    def collected(self, owner: User, key: str, name: str) -> Collection:
        organise(owner, [enter(owner, key)], Change(collect=name))
        return Collection.objects.get(owner=owner, name=name)

    def test_are_renamed_at_once(self, owner: User, django_assert_max_num_queries: Any) -> None:
        row = self.collected(owner, "lake", "Night ferry")

        with django_assert_max_num_queries(5):
            rename(row, "Day ferry")

        assert found(owner, collection="Day ferry") == ["lake"]
        assert Collection.objects.get().pk == row.pk

    def test_are_merged(self, owner: User) -> None:
        night, day = self.collected(owner, "night", "Night ferry"), self.collected(owner, "day", "Day ferry")

        with pytest.raises(NameTaken):
            rename(night, "Day ferry")
        rename(night, "Day ferry", merging=True)

        assert sorted(found(owner, collection="Day ferry", kind="image")) == ["day", "night"]
        assert Collection.objects.get() == day

    def test_are_deleted_without_their_assets(self, owner: User) -> None:
        renaming.remove(row=self.collected(owner, "night", "Night ferry"))

        assert not Collection.objects.exists()
        assert Asset.objects.get().storage_key == "night"


class TestCategories:
    def categorised(self, owner: User, name: str = "Boards") -> OwnCategory:
        descriptions.add_category(owner_id=owner.pk, name=name)
        asset = enter(owner, "lake")
        organise(owner, [asset], Change(category=name))
        aside = enter(owner, "aside")
        organise(owner, [aside], Change(category=name))
        trash.trash_asset(asset=aside, now=NOW)
        return OwnCategory.objects.get(owner=owner, name=name)

    def test_are_renamed(self, owner: User) -> None:
        row = self.categorised(owner)
        assert renaming.assets_with(row) == 2

        assert rename(row, "Storyboards") == Moved(2, finished=True)

        assert found(owner, category="Storyboards") == found(owner, category="Storyboards", kind="image") == ["lake"]
        assert found(owner, category="Storyboards", trash=True) == ["aside"]
        assert OwnCategory.objects.get().name == "Storyboards"

    def test_are_merged_into_one_that_everybody_has(self, owner: User) -> None:
        row = self.categorised(owner)

        with pytest.raises(NameTaken):
            rename(row, "Places")
        rename(row, "Places", merging=True)

        assert found(owner, category="places") == ["lake"]
        assert not OwnCategory.objects.exists()

    def test_leave_what_they_were_on_without_one(self, owner: User) -> None:
        renaming.remove(row=self.categorised(owner))

        assert found(owner, category="none") == ["lake"]
        with pytest.raises(InvalidDetails):
            organise(owner, [Asset.objects.kept().get()], Change(category="Boards"))


class TestPages:
    @pytest.mark.parametrize("kind", ["tag", "collection", "category", "nonsense"])
    def test_list_an_owners_own(self, owner: User, owners: Client, strangers: Client, kind: str) -> None:
        descriptions.add_category(owner_id=owner.pk, name="Boards")
        change = Change(add_tags=["secret-tag"], collect="secret-box", category="Boards")
        organise(owner, [enter(owner, "lake")], change)

        mine, theirs = (one.get(f"/gallery/shelves/?kind={kind}").content.decode() for one in (owners, strangers))

        assert "1 frame<" in mine and "1 frame<" not in theirs

    def test_go_on_by_name(self, owner: User, owners: Client) -> None:
        Tag.objects.bulk_create(Tag(owner=owner, name=f"tag {number:03}") for number in range(130))

        first = owners.get("/gallery/shelves/")
        second = owners.get(f"/gallery/shelves/?{first.context['further']}")

        names = [name["row"].name for page in (first, second) for name in page.context["names"]]
        assert names == [f"tag {number:03}" for number in range(130)]
        assert not second.context["further"]

    def test_say_how_many_a_change_touches_and_make_it(self, owner: User, owners: Client) -> None:
        tagged(owner, "water", key="one")
        tagged(owner, "water", "sea", key="two")
        address = f"/gallery/shelves/tag/{Tag.objects.get(name='water').pk}/"

        assert "A tag on 2 frames" in owners.get(address).content.decode()
        refused = owners.post(address, {"name": "sea"})
        assert refused.status_code == 422 and "Merge the two" in refused.content.decode()
        done = owners.post(address, {"name": "sea", "merge": "1"}, follow=True)

        assert "“water” is now “sea”." in done.content.decode()
        assert len(found(owner, tag="sea")) == 2

    def test_remove(self, owner: User, owners: Client) -> None:
        tagged(owner, "water")

        done = owners.post(f"/gallery/shelves/tag/{Tag.objects.get().pk}/remove", follow=True)

        assert "“water” is removed." in done.content.decode()
        assert not Tag.objects.exists()

    def test_say_when_there_is_more(self, owner: User, owners: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(renaming, "BATCH", 1)
        monkeypatch.setattr(renaming, "MOST_AT_ONCE", 1)
        tagged(owner, "water", key="one")
        tagged(owner, "water", key="two")

        told = owners.post(f"/gallery/shelves/tag/{Tag.objects.get().pk}/remove", follow=True)

        assert "Do it once more for the rest." in told.content.decode()
        assert Tagging.objects.count() == 1

    @pytest.mark.parametrize("kind", ["tag", "collection", "category"])
    def test_are_nobody_elses(self, owner: User, client: Client, strangers: Client, kind: str) -> None:
        descriptions.add_category(owner_id=owner.pk, name="Boards")
        organise(owner, [enter(owner, "lake")], Change(add_tags=["water"], collect="Sea"))
        row = {"tag": Tag, "collection": Collection, "category": OwnCategory}[kind]._default_manager.get()
        address = f"/gallery/shelves/{kind}/{row.pk}/"

        assert strangers.get(address).status_code == strangers.post(address, {"name": "x"}).status_code == 404
        assert strangers.post(f"{address}remove").status_code == 404
        assert "/login/" in client.get(address)["Location"] and "/login/" in client.post(f"{address}remove")["Location"]
        assert "/login/" in client.get("/gallery/shelves/")["Location"]

    @pytest.mark.parametrize("address", ["/gallery/shelves/nonsense/1/", f"/gallery/shelves/tag/{10**30}/"])
    def test_know_no_other_kind_nor_number(self, owners: Client, address: str) -> None:
        assert owners.get(address).status_code == 404

    def test_are_led_to_from_the_filters(self, owner: User, owners: Client) -> None:
        tagged(owner, "water")

        shown = owners.get("/gallery/").content.decode()

        assert "/gallery/shelves/?kind=tag" in shown
        assert "/gallery/shelves/?kind=category" not in shown and "/gallery/shelves/?kind=collection" not in shown
