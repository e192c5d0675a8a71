"""Addresses of gallery/api; each answers with and without a slash at its end, and never redirects."""

from django.urls import URLPattern, re_path

from gallery.api import references, selection, shares, shelves, views

ID = r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
NUMBER = r"(?P<id>[1-9][0-9]{0,17})"
NAME = r"(?P<name>[A-Za-z0-9_.-]{1,40})"

urlpatterns: list[URLPattern] = [
    re_path(r"^gallery/assets/?$", views.AssetListView.as_view(), name="api_assets"),
    re_path(rf"^gallery/assets/{ID}/?$", views.AssetDetailView.as_view(), name="api_asset"),
    re_path(rf"^gallery/assets/{ID}/shares/?$", shares.AssetShares.as_view(), name="api_asset_shares"),
    re_path(r"^gallery/organise/?$", selection.OrganiseView.as_view(), name="api_organise"),
    re_path(r"^gallery/trash/?$", selection.TrashView.as_view(), name="api_trash"),
    re_path(r"^gallery/restore/?$", selection.RestoreView.as_view(), name="api_restore"),
    re_path(r"^gallery/download/?$", selection.DownloadView.as_view(), name="api_download"),
    re_path(r"^gallery/tags/?$", shelves.Tags.as_view(), name="api_tags"),
    re_path(rf"^gallery/tags/{NUMBER}/?$", shelves.OneTag.as_view(), name="api_tag"),
    re_path(r"^gallery/categories/?$", shelves.Categories.as_view(), name="api_categories"),
    re_path(rf"^gallery/categories/{NUMBER}/?$", shelves.OneCategory.as_view(), name="api_category"),
    re_path(r"^gallery/collections/?$", shelves.Collections.as_view(), name="api_collections"),
    re_path(rf"^gallery/collections/{NUMBER}/?$", shelves.OneCollection.as_view(), name="api_collection"),
    re_path(
        rf"^gallery/collections/{NUMBER}/download/?$",
        selection.CollectionDownloadView.as_view(),
        name="api_collection_download",
    ),
    re_path(
        rf"^gallery/collections/{NUMBER}/shares/?$", shares.CollectionShares.as_view(), name="api_collection_shares"
    ),
    re_path(r"^gallery/references/?$", references.References.as_view(), name="api_references"),
    re_path(rf"^gallery/references/{NAME}/?$", references.OneReference.as_view(), name="api_reference"),
    re_path(r"^gallery/shares/?$", shares.Shares.as_view(), name="api_shares"),
    re_path(rf"^gallery/shares/{ID}/?$", shares.OneShare.as_view(), name="api_share"),
]
