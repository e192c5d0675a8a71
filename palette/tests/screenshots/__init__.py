"""`make screenshots`: every page of the running product, on its sandbox with believable work in it, as pictures."""
