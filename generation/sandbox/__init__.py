"""A Replicate-compatible provider for a machine without a key: real HTTP, real files, signed webhooks, faults."""
