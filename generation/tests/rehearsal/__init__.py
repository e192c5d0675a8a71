"""The product behind a proxy, under load, while each of its processes is restarted and killed."""
