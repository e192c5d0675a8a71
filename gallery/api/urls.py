"""Addresses of gallery/api."""

from django.urls import URLPattern, re_path

from gallery.api import views

ID = r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"

urlpatterns: list[URLPattern] = [
    re_path(r"^gallery/assets/?$", views.AssetListView.as_view(), name="api_assets"),
    re_path(rf"^gallery/assets/{ID}/?$", views.AssetDetailView.as_view(), name="api_asset"),
]
