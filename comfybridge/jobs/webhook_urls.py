"""The URLs that webhooks may go to."""

from __future__ import annotations

from comfybridge.deadline import Deadline
from comfybridge.errors import InvalidRequest
from comfybridge.files.outside import Outside, parse
from comfybridge.settings import Settings

LONGEST = 2000  # characters
LOOKUP_SECONDS = 1.0  # it is checked again at each try


def outside_for_webhooks(settings: Settings) -> Outside:
    """The hosts that webhooks are sent to."""
    return Outside(settings.fetch_allow_hosts, "webhooks are sent only to those")


def check_webhook(url: str, settings: Settings, *, field: str = "webhook") -> None:
    """Refuse a URL that no webhook could be sent to.

    A host that can't be found at the moment is not refused.

    Args:
        field: the request's field that it came in.

    Raises:
        InvalidRequest: it can't be used, or may not be.
    """
    try:
        if len(url) > LONGEST:
            raise InvalidRequest(f"it has more than {LONGEST} characters.")
        place = parse(url)
        if place.authorization is not None:
            raise InvalidRequest(
                "a URL with a user name or password would show it to all who may see the job; sign "
                "webhooks with a secret instead (COMFYBRIDGE_WEBHOOK_SECRETS)."
            )
        outside_for_webhooks(settings).check(place, Deadline(LOOKUP_SECONDS))
    except InvalidRequest as error:
        raise InvalidRequest(f"{field}: {error.message}", field=field) from None
