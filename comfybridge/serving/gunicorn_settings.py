"""The settings of `gunicorn.conf.py`, for a gunicorn that is started where the package is installed:

gunicorn -c python:comfybridge.serving.gunicorn_settings "comfybridge.web:create_app()"
"""

import runpy

from comfybridge.shipped import shipped

globals().update(runpy.run_path(str(shipped("gunicorn.conf.py"))))
