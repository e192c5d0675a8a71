"""Addresses of accounts/api; with a trailing slash they answer too."""

from django.urls import re_path

from accounts.api.usage import UsageView

urlpatterns = [re_path(r"^usage/?$", UsageView.as_view(), name="api_usage")]
