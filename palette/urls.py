"""Every address of the product."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("generation.web.urls")),
    path("", include("gallery.web.urls")),
    path("", include("accounts.web.urls")),
    path("", include("generation.webhooks.urls")),
    path("api/", include("generation.api.urls")),
    path("api/", include("gallery.api.urls")),
    path("api/", include("accounts.api.urls")),
    path("accounts/", include("allauth.urls")),
    path(settings.ADMIN_PATH, admin.site.urls),
]
