"""Which callers are let in."""
