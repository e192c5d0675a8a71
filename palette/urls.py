"""Every address of the product."""

import re

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from palette import api_docs, health, problems
from palette.admin_health import page as health_page
from palette.metrics import metrics
from palette.styleguide.view import styleguide

handler400 = "palette.problems.bad_request"
handler403 = "palette.problems.permission_denied"
handler404 = "palette.problems.not_found"
handler500 = "palette.problems.server_error"

urlpatterns = [
    re_path(r"^healthz/?$", health.healthz, name="healthz"),
    re_path(r"^readyz/?$", health.readyz, name="readyz"),
    re_path(r"^metrics/?$", metrics, name="metrics"),
    # They are looked through from the first to the last; a program asks more often than a person.
    path("", include("generation.webhooks.urls")),
    path("api/", include("generation.api.urls")),
    path("api/", include("gallery.api.urls")),
    path("api/", include("accounts.api.urls")),
    path("", include("generation.web.urls")),
    path("", include("gallery.web.urls")),
    path("", include("accounts.web.urls")),
    re_path(r"^styleguide/?$", styleguide, name="styleguide"),
    re_path(r"^api/schema/?$", api_docs.schema, name="api_schema"),
    re_path(r"^api/docs/?$", api_docs.docs, name="api_docs"),
    # The admin's way from an object to its page: no object has one here, and a strange key would be a fault.
    re_path(rf"^{re.escape(settings.ADMIN_PATH)}r/", problems.not_found),
    path(f"{settings.ADMIN_PATH}health/", admin.site.admin_view(health_page), name="admin_health"),
    path(
        f"{settings.ADMIN_PATH}spend/",
        RedirectView.as_view(pattern_name="admin:accounts_dailyspend_changelist", query_string=True),
    ),
    path(settings.ADMIN_PATH, admin.site.urls),
    # Pages of others, the admin's among them, name no icon: browsers then ask here.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}favicon.svg"), name="favicon"),
]
