"""Addresses of accounts/api; with a trailing slash they answer too."""

from django.urls import re_path

from accounts.api.tokens import TokensView, TokenView
from accounts.api.usage import UsageView

ID = r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"

urlpatterns = [
    re_path(r"^usage/?$", UsageView.as_view(), name="api_usage"),
    re_path(r"^tokens/?$", TokensView.as_view(), name="api_tokens"),
    re_path(rf"^tokens/{ID}/?$", TokenView.as_view(), name="api_token"),
]
