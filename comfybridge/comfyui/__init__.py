"""ComfyUI's protocol: its HTTP calls, its websocket events, and the ways to wait for a prompt."""
