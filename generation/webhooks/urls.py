"""Addresses of generation/webhooks."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
