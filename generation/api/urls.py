"""Addresses of generation/api."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
