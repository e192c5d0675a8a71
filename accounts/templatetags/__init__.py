"""Words of the templates, on the lowest floor so that every app may load them."""
