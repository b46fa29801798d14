"""A lane: one partition's queue, consumed strictly in order, batch by batch."""
