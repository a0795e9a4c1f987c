"""The assets: what callers have uploaded, and what jobs have made."""
