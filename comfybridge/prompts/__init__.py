"""A prompt's life: prepared, queued, repeated, given up, found again, read."""
