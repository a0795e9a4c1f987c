"""The ways in which a call to ComfyUI can fail.

The messages say what the server does, as in "refuses the connection"; callers complete the sentence.
"""

from __future__ import annotations


class CallFailed(Exception):
    """A call got no complete answer."""


class NotConnected(CallFailed):
    """No connection was made, so nothing was sent."""


class NoConnectionInTime(NotConnected):
    """The server did not accept the connection in time."""


class NoAnswerInTime(CallFailed):
    """The server accepted the call, but was silent for too long."""


class HungUp(CallFailed):
    """The connection ended before an answer."""


class CutOff(CallFailed):
    """The answer ended too early."""


class TooLong(CallFailed):
    """The answer is larger than allowed."""


class MakesNoSense(CallFailed):
    """The answer is not valid HTTP."""
