"""The names of the streams, and which subjects lie in which."""

KEPT = "COMFYBRIDGE_KEPT"
LIVE = "COMFYBRIDGE_LIVE"
RESULTS = "COMFYBRIDGE_RESULTS"
FILES = "COMFYBRIDGE_FILES"
ASSETS = "COMFYBRIDGE_ASSETS"


def stream_of(subject: str) -> str:
    """The stream in which a subject lies."""
    if subject.startswith("comfybridge.file."):
        return FILES
    if subject.startswith("comfybridge.asset"):
        return ASSETS
    if subject.startswith("comfybridge.live."):
        return LIVE
    return RESULTS if subject.startswith(("comfybridge.kept.result.", "comfybridge.tries.")) else KEPT
