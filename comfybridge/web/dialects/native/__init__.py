"""The bridge's own API."""
