"""Addresses of the API of predictions; each answers with and without a slash at its end, and never redirects."""

from django.urls import re_path

from generation.api import batches, views
from generation.api.hook_urls import urlpatterns as webhooks
from generation.api.waiting import waits

ID = "(?P<id>[0-9a-fA-F-]{36})"
UUID = "(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"

urlpatterns = [
    re_path(r"^generation/image/?$", waits(views.Generate.as_view()), name="api_generate_image"),
    re_path(r"^generation/video/?$", waits(views.GenerateVideo.as_view()), name="api_generate_video"),
    re_path(r"^generation/estimate/?$", views.Estimate.as_view(), name="api_estimate"),
    re_path(r"^generation/batch/?$", batches.Batches.as_view(), name="api_batches"),
    re_path(rf"^batches/{UUID}/?$", batches.OneBatch.as_view(), name="api_batch"),
    re_path(r"^predictions/?$", views.Predictions.as_view(), name="api_predictions"),
    re_path(rf"^predictions/{ID}/?$", waits(views.OnePrediction.as_view()), name="api_prediction"),
    re_path(rf"^predictions/{ID}/cancel/?$", views.Cancel.as_view(), name="api_prediction_cancel"),
    re_path(rf"^predictions/{ID}/retry/?$", waits(views.Retry.as_view()), name="api_prediction_retry"),
    re_path(r"^models/?$", views.Models.as_view(), name="api_models"),
    *webhooks,
]
