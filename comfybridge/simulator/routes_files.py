"""The routes that receive and serve files: /upload/image, /upload/mask and /view."""

import mimetypes
import os
from pathlib import Path

from aiohttp import web

from comfybridge.simulator.instance_parts import Parts
from comfybridge.simulator.uploads import UploadRefused, copy_alpha, store
from comfybridge.simulator.views import channel_bytes, preview_bytes

# Browsers could run scripts in these, so they are only offered for download.
_DANGEROUS = {"text/html", "text/html-sandboxed", "application/xhtml+xml", "text/javascript", "text/css"}


class FileRoutes:
    """POST /upload/image and /upload/mask, GET /view."""

    def __init__(self, parts: Parts) -> None:
        self._folders = parts.world.folders

    def table(self) -> list[web.RouteDef]:
        return [
            web.post("/upload/image", self.upload_image),
            web.post("/upload/mask", self.upload_mask),
            web.get("/view", self.view),
        ]

    async def upload_image(self, request: web.Request) -> web.Response:
        return await self._upload(request, mask=False)

    async def upload_mask(self, request: web.Request) -> web.Response:
        return await self._upload(request, mask=True)

    async def _upload(self, request: web.Request, mask: bool) -> web.Response:
        form = await request.post()
        image = form.get("image")
        if not image:
            return web.Response(status=400)
        if not isinstance(image, web.FileField):
            raise ValueError("text where a file should be")  # answered 500, as by ComfyUI
        kind = str(form.get("type", "input"))
        content = image.file.read()
        try:
            name, subfolder = store(
                content,
                copy_alpha(content, str(form["original_ref"]), self._folders) if mask else content,
                image.filename,
                self._folders.of_type(kind),
                str(form.get("subfolder", "")),
                overwrite=form.get("overwrite") in ("true", "1"),
            )
        except UploadRefused:
            return web.Response(status=400)
        return web.json_response({"name": name, "subfolder": subfolder, "type": kind})

    async def view(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        if "filename" not in query:
            return web.Response(status=404)
        name, folder = self._folders.split_annotation(query["filename"])
        if not name or name.startswith("/") or ".." in name:
            return web.Response(status=400)
        folder = folder or self._folders.of_type(query.get("type", "output"))
        if folder is None:
            return web.Response(status=400)
        base = os.path.abspath(folder)
        wanted = os.path.abspath(os.path.join(base, query.get("subfolder", "")))
        if os.path.commonpath((base, wanted)) != base:
            return web.Response(status=403)
        path = Path(wanted, os.path.basename(name))
        if not path.is_file():
            return web.Response(status=404)
        headers = {"Content-Disposition": f'filename="{path.name}"'}
        channel = query.get("channel", "rgba")
        if "preview" in query:
            body, content_type = preview_bytes(path, query["preview"], query.get("channel", ""))
            return web.Response(body=body, content_type=content_type, headers=headers)
        if channel in ("rgb", "a"):
            return web.Response(body=channel_bytes(path, channel), content_type="image/png", headers=headers)
        return web.FileResponse(path, headers={**headers, "Content-Type": _content_type(path)})


def _content_type(path: Path) -> str:
    # ComfyUI asks the operating system too, which often does not know FLAC or 3D models; it registers WebP itself.
    if path.suffix.lower() == ".webp":
        return "image/webp"
    guessed = mimetypes.guess_type(path.name)[0]
    return "application/octet-stream" if guessed is None or guessed in _DANGEROUS else guessed
