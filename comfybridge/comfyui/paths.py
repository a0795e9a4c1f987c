"""Removes absolute paths from texts of ComfyUI and its nodes, so that they do not reveal where it is installed."""

from __future__ import annotations

import re

from comfybridge.credentials import without_users

REPLACEMENT = "<path>"

# A file's name is kept because it helps to find the mistake, if an ending shows that it is one: the last part of a
# path may also be a person's name.
_FILE = re.compile(
    r".+\.(avif|bin|bmp|ckpt|csv|exr|flac|gguf|gif|glb|gltf|jpe?g|json|latent|m4a|mkv|mov|mp3|mp4|obj|ogg|onnx|opus"
    r"|pdf|pkl|ply|png|psd|pth?|py|safetensors|sft|stl|svg|tiff?|toml|txt|wav|webm|webp|ya?ml|zip)",
    re.IGNORECASE,
)
# "3.2 /s" is no path, and neither is "1 /2"
_NO_PATH = re.compile(r"/(\d+(\.\d+)?|s|ms|sec|min|h|hour|it|step|frame|image|px)", re.ASCII)

_LETTER = r"""[^\s'"<>|*?:;,()\[\]{}]"""
_WORD = r"""[^\s'"<>|*?:;,()\[\]{}\\/]+"""
_PATTERN = re.compile(
    # URLs are matched so that no part of them is mistaken for a path
    r"""(?P<url>\b(?!file:)[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s'"<>]*)"""
    # in quotes, where a path may contain other characters
    r"""|(?<=')(?P<quoted>(?:[A-Za-z]:[\\/]|file:/|\\\\|/)[^'\r\n]+)(?=')"""
    r"""|(?<=")(?P<double>(?:[A-Za-z]:[\\/]|file:/|\\\\|/)[^"\r\n]+)(?=")"""
    # a Windows path, with a drive or a host; it continues after `C:\Program` if a backslash follows
    rf"""|(?P<windows>(?:(?<!\w)[A-Za-z]:[\\/]|(?<![\w.:\\/])\\\\(?:\?\\+(?:[A-Za-z]:\\)?)?(?={_LETTER}))"""
    rf"""(?:{_LETTER}| (?=(?:{_WORD} ){{0,2}}{_WORD}\\))*)"""
    # any other path: not after a word or a bracket, as in a/b, f(x)/g and ../x, and not a tag; it continues after
    # `/Users/me/Library/Application` if a slash follows the next word
    rf"""|(?P<plain>(?:\bfile:/|(?<![\w./\\~<+*)\]}}-])/)/*(?!/)(?:{_LETTER})(?:{_LETTER}| (?=[A-Z][\w.-]*/))*)"""
)


def without_paths(text: str) -> str:
    """The text with every absolute path replaced by its file's name or `<path>`, and no credentials in its URLs."""
    return _PATTERN.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    if match["url"] is not None:
        return without_users(match[0])
    path = match[0] if match["quoted"] or match["double"] else match[0].rstrip(".!")
    if match["plain"] is not None and _NO_PATH.fullmatch(path):
        return match[0]
    name = re.split(r"[\\/]", path)[-1]
    kept = name if _FILE.fullmatch(name) else REPLACEMENT
    return kept + match[0][len(path) :]
