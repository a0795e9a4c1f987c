"""The bridge with the dialect of `shapes.py` beside its own: `gunicorn tests.web.shapes_app:app`."""

from comfybridge.web import application
from comfybridge.web.dialects.native.dialect import NATIVE
from tests.web.shapes import SHAPES

application.SPOKEN = (NATIVE, SHAPES)
app = application.create_app()
