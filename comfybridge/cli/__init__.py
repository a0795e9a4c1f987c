"""The command line: `comfybridge`, or `python app.py` in a checkout."""
