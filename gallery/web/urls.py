"""Addresses of gallery/web."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
