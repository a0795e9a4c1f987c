"""The node classes of the simulator: each a declaration of its inputs in ComfyUI's shape, and one function."""
