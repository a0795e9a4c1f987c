"""What the bridge costs, measured beside a client that speaks ComfyUI's protocol itself."""
