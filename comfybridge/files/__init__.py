"""Input files on their way to ComfyUI, and output files on their way to the answer."""
