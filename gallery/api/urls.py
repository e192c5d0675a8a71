"""Addresses of gallery/api."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
