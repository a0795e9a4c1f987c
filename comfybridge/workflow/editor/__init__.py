"""Converts workflows as ComfyUI's editor saves them into the prompts that the editor would send."""
