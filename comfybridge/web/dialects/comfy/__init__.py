"""The Comfy API v2, the contract of ComfyUI's makers, over the jobs of the bridge."""
