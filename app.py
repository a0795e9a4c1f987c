"""`app` for WSGI servers (`gunicorn app:app`); `python app.py` runs a server of its own (`--help` says how)."""

import sys

if __name__ == "__main__":
    try:
        from comfybridge.cli.main import main

        sys.exit(main())
    except KeyboardInterrupt:  # while it starts
        sys.exit(130)
else:
    from comfybridge.settings import SettingsError
    from comfybridge.web import create_app

    try:
        app = create_app()
    except SettingsError as error:
        sys.exit(f"ComfyBridge can't start: {error}")
