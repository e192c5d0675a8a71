"""The sandbox's painter: a prompt's words and hash choose scene and palette; stills and films come from one scene."""
