"""Addresses of accounts/api."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
