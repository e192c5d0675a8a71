"""Addresses of the API of webhooks; each answers with and without a slash at its end, and never redirects."""

from django.urls import re_path

from generation.api import hooks

UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ONE = rf"^webhooks/(?P<id>{UUID})"

urlpatterns = [
    re_path(r"^webhooks/?$", hooks.Webhooks.as_view(), name="api_webhooks"),
    re_path(rf"{ONE}/?$", hooks.OneWebhook.as_view(), name="api_webhook"),
    re_path(rf"{ONE}/secret/?$", hooks.WebhookSecret.as_view(), name="api_webhook_secret"),
    re_path(rf"{ONE}/test/?$", hooks.WebhookTest.as_view(), name="api_webhook_test"),
    re_path(rf"{ONE}/deliveries/?$", hooks.Deliveries.as_view(), name="api_deliveries"),
    re_path(rf"{ONE}/deliveries/(?P<delivery>{UUID})/resend/?$", hooks.Resend.as_view(), name="api_resend"),
]
