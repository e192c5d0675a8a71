"""Where the provider's webhooks arrive; with or without a trailing slash, never by a redirect."""

from django.urls import re_path

from generation.webhooks.view import replicate

urlpatterns = [re_path(r"^api/webhooks/replicate/?$", replicate, name="replicate_webhook")]
