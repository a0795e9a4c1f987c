"""How a call to ComfyUI can fail.

The messages say what the server does, as in "refuses the connection"; they are put into sentences further up.
"""

from __future__ import annotations


class CallFailed(Exception):
    """A call did not come to an answer."""


class NotConnected(CallFailed):
    """No connection was made, so nothing was sent."""


class NoConnectionInTime(NotConnected):
    """The server did not take the connection in time."""


class NoAnswerInTime(CallFailed):
    """The server accepted the call, and was silent for too long."""


class HungUp(CallFailed):
    """The connection ended before an answer."""


class CutOff(CallFailed):
    """The answer ended before its end."""


class TooLong(CallFailed):
    """The answer is larger than it may be."""


class MakesNoSense(CallFailed):
    """The answer is not as HTTP has it."""
