"""Addresses of generation/web."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
