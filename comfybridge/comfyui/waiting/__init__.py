"""The ways to wait for a prompt: hub, websocket and poll."""
