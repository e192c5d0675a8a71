"""Programs of our users' told how their predictions end: endpoints, messages, signatures (Standard Webhooks)."""
