"""Workflows as ComfyUI's editor saves them, turned into the prompts that the editor would send."""
