"""`app` for WSGI servers (`gunicorn app:app`); `python app.py` runs a server of its own (`--help` says how)."""

import sys

from comfybridge.settings import SettingsError

if __name__ == "__main__":
    from comfybridge.cli import main

    sys.exit(main())
else:
    from comfybridge.web import create_app

    try:
        app = create_app()
    except SettingsError as error:
        sys.exit(f"ComfyBridge can't start: {error}")
