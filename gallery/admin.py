"""What administrators see of assets and tags: facts to read, nothing to spend or to leak."""

from django.contrib import admin

from accounts.admin_base import ReadOnly
from gallery.models import Asset, Tag


@admin.register(Asset)
class AssetAdmin(ReadOnly, admin.ModelAdmin):
    """Read-only: assets change through their owners. Storage keys stay inside."""

    list_display = ("id", "owner", "kind", "origin", "model", "size_bytes", "created_at", "due_at", "quarantined_at")
    list_filter = ("kind", "origin", "provider", "model", ("quarantined_at", admin.EmptyFieldListFilter))
    search_fields = ("=id", "=prediction_id", "owner__username")
    date_hierarchy = "created_at"
    list_select_related = ("owner",)
    list_per_page = 50
    show_full_result_count = False
    exclude = ("storage_key", "thumbnail_key", "poster_key", "lease_token", "made_from", "tags", "collections")


@admin.register(Tag)
class TagAdmin(ReadOnly, admin.ModelAdmin):
    """Words, and whose they are."""

    list_display = ("name", "owner")
    search_fields = ("name", "owner__username")
    list_select_related = ("owner",)
