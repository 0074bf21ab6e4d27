"""WHEN: what is known of the city now. First room: the feed that tells every process which layer changed."""
