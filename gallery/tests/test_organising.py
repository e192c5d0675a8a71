"""Many assets at once: tags, categories, collections, stars, trash; and names that move on."""

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from gallery import descriptions, trash
from gallery.descriptions import InvalidDetails, ReferenceNameTaken
from gallery.models import Asset, AssetDocument, Collection, OwnCategory, Tag, Tagging
from gallery.organising import MOST_AT_ONCE, Change, organise_assets
from gallery.references import UsedReference, references_used
from gallery.shelves import shelves_of
from gallery.tests.making import NOW
from gallery.tests.test_search import enter, found, organise


def some(owner: User, count: int = 3) -> list[Asset]:
    return [enter(owner, f"{owner.username}-{number}", minutes=number) for number in range(count)]


class TestOrganiseAssets:
    def test_tags_and_takes_tags_off(self, owner: User) -> None:
        assets = some(owner)

        organise(owner, assets, Change(add_tags=["lake", " blue  hour ", "lake"]))
        organise(owner, assets[:1], Change(remove_tags=["lake", "blue hour", "none such"]))

        assert sorted(Tag.objects.values_list("name", flat=True)) == ["blue hour", "lake"]
        assert [asset.tagged for asset in Asset.objects.order_by("created_at")] == [False, True, True]
        assert Tagging.objects.count() == 4

    def test_changes_only_what_is_named(self, owner: User) -> None:
        assets = some(owner)
        organise(owner, assets, Change(add_tags=["lake"], category="places", favourite=True, collect="Night ferry"))

        organise(owner, assets, Change(category="people"))

        asset = Asset.objects.prefetch_related("tags", "collections").first()
        assert asset is not None
        assert (asset.category, asset.favourite) == ("people", True)
        assert [tag.name for tag in asset.tags.all()] == ["lake"]
        assert [collection.name for collection in asset.collections.all()] == ["Night ferry"]

    def test_collects_into_several_and_takes_out_again(self, owner: User) -> None:
        assets = some(owner)

        for name in ("Night ferry", "Day ferry", "Night ferry"):
            organise(owner, assets, Change(collect=name))
        organise(owner, assets[:1], Change(uncollect="Day ferry"))

        assert Collection.objects.count() == 2
        assert assets[0].collections.get().name == "Night ferry"
        assert assets[1].collections.count() == 2

    def test_leaves_alone_what_another_owns_and_what_is_in_the_trash(self, owner: User, stranger: User) -> None:
        [mine, aside, *_], theirs = some(owner), some(stranger, 1)[0]
        trash.trash_asset(asset=aside, now=NOW)

        ids = [mine.pk, aside.pk, theirs.pk]
        done = organise_assets(owner=owner, ids=ids, change=Change(favourite=True, add_tags=["lake"]), now=NOW)

        assert done.ids == {mine.pk}
        assert Asset.objects.get(favourite=True) == mine
        assert not theirs.tags.exists()

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            (Change(add_tags=["x" * 61]), "tags"),
            (Change(add_tags=["a\x00b"]), "tags"),
            (Change(add_tags=[str(number) for number in range(31)]), "tags"),
            (Change(category="none such"), "category"),
            (Change(collect="x" * 61), "collection"),
            (Change(uncollect="a\x00b"), "collection"),
        ],
    )
    def test_refuses_by_field_and_changes_nothing(self, owner: User, change: Change, field: str) -> None:
        assets = some(owner, 1)

        with pytest.raises(InvalidDetails) as refused:
            organise(owner, assets, change)

        assert list(refused.value.errors) == [field]
        assert not Tagging.objects.exists() and not Collection.objects.exists()

    def test_keeps_to_thirty_tags_on_one_asset(self, owner: User) -> None:
        assets = some(owner, 2)
        organise(owner, assets[:1], Change(add_tags=[str(number) for number in range(30)]))

        with pytest.raises(InvalidDetails):
            organise(owner, assets, Change(add_tags=["one more"]))

        assert not assets[1].tags.exists()

    def test_takes_so_many_at_once(self, owner: User) -> None:
        asset = some(owner, 1)[0]

        with pytest.raises(InvalidDetails):
            organise_assets(owner=owner, ids=[asset.pk] * (MOST_AT_ONCE + 1), change=Change(), now=NOW)

    def test_asks_the_database_equally_often(self, owner: User, django_assert_num_queries: Any) -> None:
        change = Change(add_tags=["lake"], category="places", collect="Night ferry")
        organise(owner, some(owner, 1), change)
        assets = [enter(owner, f"more-{number}") for number in range(20)]

        with django_assert_num_queries(21):
            organise(owner, assets[:2], change)
        with django_assert_num_queries(21):
            organise(owner, assets, change)


class TestAddCategory:
    def test_makes_one_of_the_owners_own(self, owner: User, stranger: User) -> None:
        asset = some(owner, 1)[0]

        name = descriptions.add_category(owner_id=owner.pk, name="  Story   boards ")
        organise(owner, [asset], Change(category=name))

        assert found(owner, category="Story boards") == [asset.storage_key]
        with pytest.raises(InvalidDetails):
            organise(stranger, some(stranger, 1), Change(category=name))

    def test_knows_those_that_everybody_has(self, owner: User) -> None:
        assert descriptions.add_category(owner_id=owner.pk, name="People") == "people"
        assert not OwnCategory.objects.exists()

    @pytest.mark.parametrize("name", ["", "  ", "None", "x" * 41, "a\x00b", 7])
    def test_refuses(self, owner: User, name: Any) -> None:
        with pytest.raises(InvalidDetails):
            descriptions.add_category(owner_id=owner.pk, name=name)

    def test_keeps_so_many(self, owner: User) -> None:
        OwnCategory.objects.bulk_create(
            OwnCategory(owner=owner, name=str(number)) for number in range(descriptions.MOST_CATEGORIES)
        )

        descriptions.add_category(owner_id=owner.pk, name="1")
        with pytest.raises(InvalidDetails):
            descriptions.add_category(owner_id=owner.pk, name="one more")


class TestReferenceName:
    def name(self, asset: Asset, name: str, *, minutes: int, moving: bool = False) -> None:
        now = NOW + timedelta(minutes=minutes)
        descriptions.update_asset(asset=asset, changes={"reference_name": name}, now=now, moving=moving)

    def test_belongs_to_one_until_it_is_moved(self, owner: User, stranger: User) -> None:
        first, second, *_ = some(owner)
        self.name(first, "hero", minutes=0)
        self.name(some(stranger, 1)[0], "hero", minutes=0)

        with pytest.raises(ReferenceNameTaken):
            self.name(second, "@hero", minutes=1)
        self.name(second, "@hero", minutes=1, moving=True)

        first.refresh_from_db()
        assert (first.reference_name, second.reference_name) == ("", "hero")
        assert found(owner, q="hero") == [second.storage_key]

    def test_tells_by_which_version_something_was_made(self, owner: User) -> None:
        first, second, *_ = some(owner)
        self.name(first, "hero", minutes=10)
        made = enter(owner, "made", minutes=11, made_from=[first.pk])
        self.name(second, "hero", minutes=12, moving=True)
        later = enter(owner, "later", minutes=13, made_from=[second.pk])

        assert references_used(asset=made, sources=[first]) == [UsedReference("hero", 1, 2)]
        assert references_used(asset=later, sources=[second]) == [UsedReference("hero", 2, 2)]

    def test_was_not_used_before_it_was_given(self, owner: User) -> None:
        first, *_ = some(owner)
        made = enter(owner, "made", minutes=5, made_from=[first.pk])
        self.name(first, "hero", minutes=10)

        assert references_used(asset=made, sources=[first]) == []

    def test_makes_no_version_when_nothing_moves(self, owner: User) -> None:
        first, *_ = some(owner)

        for name in ("hero", "hero", "", "hero"):
            self.name(first, name, minutes=0)

        assert first.reference_versions.count() == 1


class TestTrash:
    def test_restores_together_what_was_put_aside_together(self, owner: User, stranger: User) -> None:
        assets, other = some(owner), enter(owner, "other")
        theirs = some(stranger, 1)
        ids = [asset.pk for asset in assets + theirs]

        assert trash.trash_assets(owner=owner, ids=ids, now=NOW) == 3
        trash.trash_asset(asset=other, now=NOW + timedelta(seconds=1))
        assert found(owner) == []
        assert found(stranger) == [theirs[0].storage_key]

        assert trash.restore_assets(owner=owner, trashed_at=NOW) == 3
        assert len(found(owner)) == 3
        assert found(owner, trash=True) == ["other"]

    def test_keeps_when_it_was_put_aside_first(self, owner: User) -> None:
        asset = some(owner, 1)[0]

        for minute in range(2):
            trash.trash_asset(asset=asset, now=NOW + timedelta(minutes=minute))

        assert Asset.objects.get().trashed_at == NOW
        assert not AssetDocument.objects.get().kept


class TestShelves:
    def test_names_and_counts_in_one_statement(
        self, owner: User, stranger: User, django_assert_num_queries: Any
    ) -> None:
        assets = some(owner, 3)
        organise(owner, assets[:2], Change(add_tags=["lake"], collect="Night ferry", category="places"))
        organise(stranger, some(stranger, 1), Change(add_tags=["theirs"], collect="Theirs"))
        descriptions.add_category(owner_id=owner.pk, name="Boards")
        trash.trash_asset(asset=assets[0], now=NOW)

        with django_assert_num_queries(1):
            shelves = shelves_of(owner)

        assert (shelves.tags, shelves.collections, shelves.untagged) == ({"lake": 1}, {"Night ferry": 1}, 1)
        assert shelves.models == {"google/nano-banana": 2}
        assert shelves.categories["places"] == 1 and shelves.categories[""] == 1
        assert shelves.categories["Boards"] == shelves.categories["people"] == 0

    def test_finds_every_model(self, owner: User) -> None:
        for number, model in enumerate(["b/two", "a/one", "c/three", "a/one"]):
            enter(owner, str(number), model=model)

        assert shelves_of(owner).models == {"a/one": 2, "b/two": 1, "c/three": 1}

    def test_is_empty_for_nobody(self, owner: User) -> None:
        shelves = shelves_of(owner)

        assert (shelves.tags, shelves.models, shelves.untagged) == ({}, {}, 0)
