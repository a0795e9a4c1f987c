"""Measures the cost of the bridge against a client that speaks ComfyUI's protocol itself."""
