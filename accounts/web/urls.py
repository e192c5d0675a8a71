"""Addresses of accounts/web."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
