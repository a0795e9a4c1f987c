"""Chooses the form of the answer by the `Accept` header, as RFC 9110 (12.5.1) defines it.

What a workflow makes is known only after it has run, so there may be several forms to try in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

from flask import Request, g
from werkzeug.http import parse_list_header, parse_options_header

from comfybridge.errors import NotAcceptable
from comfybridge.media import usual_media_type
from comfybridge.request import Kind

Form = Literal["json", "file", "zip", "events"]
Format = Literal["png", "webp", "jpeg"]

# The media types of each form, for error messages.
SHOWN: dict[Form, tuple[str, ...]] = {
    "json": ("application/json",),
    "file": ("image/* (image/png, image/jpeg and image/webp by conversion)", "video/*", "audio/*"),
    "zip": ("application/zip",),
    "events": ("text/event-stream",),
}
ALL_FORMS = tuple(SHOWN)
JSON = "application/json"
OTHERS: dict[str, Form] = {"application/zip": "zip", "text/event-stream": "events"}
# Ranges are compared with each other; for a header of 200 kB, which some servers allow, that would take minutes.
LONGEST = 4000
MOST_RANGES = 100
FILE_KINDS: tuple[Kind, ...] = ("image", "video", "audio")
FORMATS: dict[str, Format] = {f"image/{format}": format for format in get_args(Format)}
# The bridge does not convert to these, but some nodes make them; no known node makes other images.
MADE_BY_SOME = ("image/gif", "image/svg+xml")


@dataclass(frozen=True)
class Range:
    """A media range of the header, such as `image/*;q=0.8`.

    Attributes:
        order: its place in the header.
    """

    type: str
    subtype: str
    quality: float
    order: int

    @property
    def specificity(self) -> int:
        """0 for `*/*`, 1 for `image/*`, 2 for `image/png`."""
        return (self.type != "*") + (self.subtype != "*")

    def takes(self, media_type: str) -> bool:
        """Whether it includes a media type; `image/*` is included in itself and in `*/*`."""
        type, _, subtype = media_type.partition("/")
        return self.type in ("*", type) and self.subtype in ("*", subtype)


@dataclass(frozen=True)
class Accept:
    """A parsed `Accept` header.

    Attributes:
        text: the header itself, for messages.
    """

    ranges: tuple[Range, ...] = ()
    text: str = ""

    def best(self, media_type: str) -> Range | None:
        """The range that applies to a media type, the most specific one; None if it is not accepted."""
        ranges = [each for each in self.ranges if each.takes(media_type)]
        best = max(ranges, key=lambda each: each.specificity, default=None)
        return best if best is not None and best.quality > 0 else None


@dataclass(frozen=True)
class Wanted:
    """The form of an answer.

    Attributes:
        form: JSON with everything in it, the bytes of one file, a zip of all files, or a stream of events.
        kind: for one file, what sort of file.
        format: the format to convert images to; None: they are accepted as they are, or no conversion would help.
        accept: the caller's header.
        others: the forms to try in turn if the workflow made no such file.
    """

    form: Form
    kind: Kind = "image"
    format: Format | None = None
    accept: Accept = Accept()
    others: tuple[Wanted, ...] = ()

    def takes(self, media_type: str) -> bool:
        """Whether the caller accepts a file of that type."""
        return self.accept.best(media_type) is not None

    @property
    def is_sure(self) -> bool:
        """Whether every workflow can be answered in this form."""
        return self.form != "file" or any(each.is_sure for each in self.others)

    @property
    def image(self) -> Wanted | None:
        """The one of these forms that is an image's bytes; None if there is none."""
        return next((each for each in (self, *self.others) if each.form == "file" and each.kind == "image"), None)


# For dialects that ignore `Accept`.
JSON_ONLY = Wanted("json")


def wanted_form(request: Request, offered: tuple[Form, ...] = ALL_FORMS) -> Wanted:
    """The offered form that the caller prefers; JSON is always offered, and the default.

    Raises:
        NotAcceptable: it accepts none of them.
    """
    g.is_negotiated = True
    return _wanted(request.headers.get("Accept", ""), offered)


@lru_cache(maxsize=256)  # there are few kinds of callers
def _wanted(header: str, offered: tuple[Form, ...]) -> Wanted:
    accept = parse_accept(header)
    if not accept.text:
        return Wanted("json", accept=accept)
    accepted = [each for each in _forms(accept) if each[1].form in offered]
    ordered = sorted(accepted, key=lambda each: _rank(each[0]))
    if not ordered:
        raise NotAcceptable(f"Accept is {accept.text[:200]!r}; there {_shown(offered)}.")
    first, *rest = [wanted for _, wanted in ordered]
    return replace(first, others=() if first.is_sure else tuple(_until_sure(rest)))


def _shown(offered: Iterable[Form]) -> str:
    """What is offered, as in "are application/json and application/zip"."""
    *others, last = [media_type for form in offered for media_type in SHOWN[form]]
    return f"are {', '.join(others)} and {last}" if others else f"is {last}"


def _until_sure(forms: Iterable[Wanted]) -> Iterator[Wanted]:
    for each in forms:
        if each.form == "events":  # events would have had to begin before the workflow ran
            continue
        yield each
        if each.is_sure:
            return


def parse_accept(header: str) -> Accept:
    """Parse a header; malformed parts are left out."""
    ranges = []
    for order, item in enumerate(parse_list_header(header[:LONGEST])[:MOST_RANGES]):
        media_range, options = parse_options_header(item)
        named = "*/*" if media_range == "*" else usual_media_type(media_range.strip().lower())
        type, _, subtype = named.partition("/")
        quality = _quality(options.get("q", "1"))
        if type and subtype and quality is not None:
            ranges.append(Range(type, subtype, quality, order))
    return Accept(tuple(ranges), header.strip())


def _quality(text: str) -> float | None:
    try:
        quality = float(text)
    except ValueError:
        return None
    return quality if 0 <= quality <= 1 else None


def _rank(best: Range) -> tuple[float, int, int]:
    return -best.quality, -best.specificity, best.order


def _forms(accept: Accept) -> Iterator[tuple[Range, Wanted]]:
    """Each form that the caller accepts, with the range that applies to it; in order of precedence among equals."""
    if best := accept.best(JSON):
        yield best, Wanted("json", accept=accept)
    for kind in FILE_KINDS:
        if found := _best_of_kind(accept, kind):
            best, media_type = found
            yield best, Wanted("file", kind, _format(accept, media_type), accept)
    for media_type, form in OTHERS.items():
        if best := accept.best(media_type):
            yield best, Wanted(form, accept=accept)


def _best_of_kind(accept: Accept, kind: Kind) -> tuple[Range, str] | None:
    """The range that prefers files of a kind most, and the preferred media type; None if none is accepted.

    The type is `image/*` if that is preferred as much as any named type, so that no conversion takes place.
    """
    named = [f"{each.type}/{each.subtype}" for each in accept.ranges if each.type == kind and each.subtype != "*"]
    possible = [each for each in named if kind != "image" or each in FORMATS or each in MADE_BY_SOME]
    found = [(best, each) for each in possible if (best := accept.best(each)) is not None]
    best_named = min(found, key=lambda each: _rank(each[0]), default=None)
    best_of_all = accept.best(f"{kind}/*")
    if best_of_all is None:
        return best_named
    if best_named is None:
        return best_of_all, f"{kind}/*"
    is_named_better = best_named[0].quality > best_of_all.quality
    is_as_good = best_named[0].quality == best_of_all.quality and best_of_all.type == "*"  # `*/*` is for no kind
    return best_named if is_named_better or is_as_good else (best_of_all, f"{kind}/*")


def _format(accept: Accept, liked: str) -> Format | None:
    """The format to convert images to, so that they are accepted; None if that is not necessary, or impossible."""
    if liked in FORMATS:
        return FORMATS[liked]
    accepted = [(best, each) for each in FORMATS if (best := accept.best(each)) is not None]
    if not accepted or (accept.best("image/*") is not None and len(accepted) == len(FORMATS)):
        return None
    return FORMATS[min(accepted, key=lambda each: _rank(each[0]))[1]]
