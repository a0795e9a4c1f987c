# The bridge, for a ComfyUI that runs elsewhere:
#
#   docker build -t comfybridge .
#   docker run -p 8189:8189 -e COMFYUI_URL=http://gpu.example:8188 -e COMFYBRIDGE_API_KEYS=shop=sha256:... comfybridge
#
# `docker run comfybridge key shop` prints a key. With `--build-arg EXTRAS=[demo]` it has the stand-in ComfyUI of `--demo`.

FROM python:3.13-slim AS build
ARG EXTRAS=
WORKDIR /src
COPY pyproject.toml README.md gunicorn.conf.py ./
COPY comfybridge comfybridge
COPY workflows workflows
RUN python -m venv /opt/comfybridge
RUN /opt/comfybridge/bin/pip install --no-cache-dir --disable-pip-version-check ".${EXTRAS}"

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin comfybridge
COPY --from=build /opt/comfybridge /opt/comfybridge
ENV PATH=/opt/comfybridge/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    COMFYBRIDGE_HOST=0.0.0.0 \
    COMFYBRIDGE_STATE_DIR=/var/lib/comfybridge
RUN install -d -o comfybridge -g comfybridge -m 700 /var/lib/comfybridge
USER 10001:10001
WORKDIR /srv
EXPOSE 8189
# Only /tmp and /var/lib/comfybridge are written to; a volume at the latter keeps jobs and the key of links to files.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('COMFYBRIDGE_PORT', '8189') + '/health', timeout=4)"]
ENTRYPOINT ["comfybridge"]
CMD ["serve"]
