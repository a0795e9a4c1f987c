"""Waits for a prompt until it has ended, in whichever submission that is: some prompts are run once more."""

from __future__ import annotations

import logging
from collections.abc import Callable

from comfybridge.comfyui.outcome import ImagesLost, Outcome
from comfybridge.comfyui.waiting.waiter import OnEvent
from comfybridge.errors import BridgeError, ComfyUIUnreachable, PromptLost
from comfybridge.prompts import unserved
from comfybridge.prompts.dispatching import Dispatcher
from comfybridge.prompts.submission import OnQueued, Submission

log = logging.getLogger(__name__)

Wait = Callable[[Submission, OnEvent | None], Outcome]


class RunningAgain:
    """Submits prompts again that were lost, or whose files ComfyUI cannot serve. Safe to share between threads.

    Args:
        wait: how one submission is waited for.
    """

    def __init__(self, dispatcher: Dispatcher, wait: Wait) -> None:
        self._dispatcher = dispatcher
        self._wait = wait

    def wait_out(
        self, submission: Submission, on_event: OnEvent | None, on_queued_again: OnQueued
    ) -> tuple[Submission, Outcome]:
        """The outcome with files that ComfyUI serves, and the submission that led to it."""
        submission, outcome = self._wait_out(submission, on_event, on_queued_again)
        return self._past_cache(submission, outcome, on_event, on_queued_again)

    def _wait_out(
        self, submission: Submission, on_event: OnEvent | None, on_queued_again: OnQueued
    ) -> tuple[Submission, Outcome]:
        """The outcome, and the submission that led to it."""
        retries_left = submission.request.retries
        repeats_left = 1
        while True:
            try:
                return submission, self._wait(submission, on_event)
            except (PromptLost, ComfyUIUnreachable) as error:
                if isinstance(error, ImagesLost) and repeats_left and not submission.deadline.passed:
                    repeats_left -= 1
                elif retries_left:
                    retries_left -= 1
                else:
                    submission.close()
                    raise
                failure = error
            except BaseException:
                submission.close()
                raise
            log.warning("Prompt %s is queued again: %s", submission.prompt.id, failure.message)
            lost, submission = submission, self._dispatcher.submit_again(submission, failure)
            if submission.queued_at != lost.queued_at:  # otherwise it was only unreachable
                _tell(on_queued_again, submission)

    def _past_cache(
        self, submission: Submission, outcome: Outcome, on_event: OnEvent | None, on_queued_again: OnQueued
    ) -> tuple[Submission, Outcome]:
        """The outcome, or that of another run if ComfyUI cannot serve the files of this one: files of an earlier run
        that have been deleted since, and files with names that it does not serve.
        """
        try:
            gone = unserved.gone(submission, outcome)
            misnamed = unserved.misnamed(submission, outcome)
            if not gone and not misnamed:
                return submission, outcome
            why = "some of its cached files are gone" if gone else "ComfyUI does not serve files with such names"
            log.warning("Prompt %s is run once more: %s.", submission.prompt.id, why)
            again = self._dispatcher.submit_past_cache(submission, gone, misnamed)
        except BridgeError as error:
            submission.close()
            raise submission.about(error) from None
        except BaseException:
            submission.close()
            raise
        _tell(on_queued_again, again)
        return self._wait_out(again, on_event, on_queued_again)


def _tell(on_queued_again: OnQueued, submission: Submission) -> None:
    try:
        on_queued_again(submission)
    except BaseException:
        submission.close()
        raise
