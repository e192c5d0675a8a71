"""Addresses of the studio."""

from django.urls import path

from generation.web import actions, composing, hooks, trash, views

WEBHOOK = "settings/webhooks/<uuid:id>/"

urlpatterns = [
    path("settings/webhooks/", hooks.webhooks, name="webhooks"),
    path(WEBHOOK, hooks.webhook, name="webhook"),
    path(f"{WEBHOOK}switch/", hooks.webhook_switch, name="webhook_switch"),
    path(f"{WEBHOOK}secret/", hooks.webhook_secret, name="webhook_secret"),
    path(f"{WEBHOOK}test/", hooks.webhook_test, name="webhook_test"),
    path(f"{WEBHOOK}delete/", hooks.webhook_delete, name="webhook_delete"),
    path(f"{WEBHOOK}deliveries/<uuid:delivery>/", hooks.webhook_message, name="webhook_message"),
    path(f"{WEBHOOK}deliveries/<uuid:delivery>/resend/", hooks.webhook_resend, name="webhook_resend"),
    path("", views.studio, name="studio"),
    path("generate", views.generate, name="generate"),
    path("generate/form", views.compose, name="compose"),
    path("references", composing.references, name="references"),
    path("draft", composing.draft, name="draft"),
    path("draft/clear", composing.clear, name="draft_clear"),
    path("draft/restore", composing.restore, name="draft_restore"),
    path("history", composing.prompts, name="history"),
    path("estimate", views.estimate, name="estimate"),
    path("pick", views.pick, name="pick"),
    path("feed", views.older, name="feed"),
    path("budget", views.money, name="budget"),
    path("predictions/<uuid:id>/card", actions.card, name="prediction_card"),
    path("predictions/<uuid:id>/cancel", actions.cancel, name="prediction_cancel"),
    path("predictions/<uuid:id>/retry", actions.retry, name="prediction_retry"),
    path("predictions/<uuid:id>/keep-waiting", actions.keep_waiting, name="prediction_keep_waiting"),
    path("gallery/trash/empty", trash.empty_trash, name="empty_trash"),
    path("theme", views.theme, name="theme"),
]
