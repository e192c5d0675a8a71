"""Addresses of gallery/web."""

from django.urls import URLPattern, path

from gallery.web import acts, comparing, downloads, files, pages, sharing, shelves, uploads, visits

urlpatterns: list[URLPattern] = [
    path("gallery/", pages.gallery, name="gallery"),
    path("gallery/upload", uploads.upload, name="asset_upload"),
    path("gallery/organise", acts.organise, name="organise"),
    path("gallery/compare/", comparing.compare, name="compare"),
    path("gallery/download", downloads.download_selected, name="download_selected"),
    path("gallery/collections/<int:id>/download", downloads.download_collection, name="download_collection"),
    path("gallery/collections/<int:id>/share", sharing.share_collection, name="share_collection"),
    path("gallery/links/<uuid:id>/revoke", sharing.revoke, name="revoke_share_link"),
    path("gallery/shelves/", shelves.shelf_list, name="shelves"),
    path("gallery/shelves/<str:kind>/<int:id>/", shelves.shelf_form, name="shelf"),
    path("gallery/shelves/<str:kind>/<int:id>/remove", shelves.remove_shelf, name="remove_shelf"),
    path("gallery/restore", acts.restore_together, name="restore_together"),
    path("gallery/undo", acts.undo, name="undo"),
    path("gallery/tags", acts.tag_names, name="tag_names"),
    path("gallery/<uuid:id>/", pages.asset_detail, name="asset_detail"),
    path("gallery/<uuid:id>/frame", uploads.asset_frame, name="asset_frame"),
    path("gallery/<uuid:id>/favourite", acts.favourite, name="asset_favourite"),
    path("gallery/<uuid:id>/shelve", acts.shelve, name="asset_shelve"),
    path("gallery/<uuid:id>/trash", acts.trash, name="asset_trash"),
    path("gallery/<uuid:id>/restore", acts.restore, name="asset_restore"),
    path("gallery/<uuid:id>/share", sharing.share_asset, name="share_asset"),
    path("assets/<uuid:id>/file", files.asset_file, name="asset_file"),
    path("assets/<uuid:id>/thumbnail", files.asset_thumbnail, name="asset_thumbnail"),
    path("assets/<uuid:id>/thumbnail/<int:width>", files.asset_thumbnail, name="asset_thumbnail_wide"),
    path("assets/<uuid:id>/poster", files.asset_poster, name="asset_poster"),
    path("assets/<uuid:id>/preview", files.asset_preview, name="asset_preview"),
    path("s/<str:token>/", visits.shared, name="shared"),
    path("s/<str:token>/download", visits.shared_zip, name="shared_zip"),
    path("s/<str:token>/unlock", visits.unlock, name="share_unlock"),
    path("s/<str:token>/<uuid:id>/", visits.shared_frame, name="shared_frame"),
    *(
        path(f"s/<str:token>/assets/<uuid:id>/{what}", visits.shared_file, {"what": what}, name=f"shared_{what}")
        for what in ("file", "thumbnail", "poster", "preview")
    ),
    path("s/<str:token>/assets/<uuid:id>/thumbnail/<int:width>", visits.shared_file, {"what": "thumbnail"}),
]
