"""Which template serves a task when a request names none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from comfybridge.deadline import Deadline
from comfybridge.errors import BridgeError, BrokenWorkflow, InvalidWorkflow, UnknownWorkflow
from comfybridge.prompts.templates import Templates
from comfybridge.tasks import Task
from comfybridge.workflow.template import Template
from comfybridge.workflow.unconverted import Unconverted

# what does a task, though not as well as a template of its own
STAND_INS: dict[Task, tuple[Task, ...]] = {"edit": ("img2img",)}
ABILITIES: dict[Task, str] = {
    "txt2img": "makes a picture from a text",
    "img2img": "makes a picture from a picture",
    "inpaint": "repaints a part of a picture",
    "upscale": "makes a picture larger",
    "edit": "edits a picture",
}


class TaskTemplates:
    """Finds the template for a task. Safe to share between threads.

    Args:
        chosen: the names of those that the settings name, by task.
        default: the template for requests that name none.
    """

    def __init__(self, templates: Templates, chosen: Mapping[Task, str], default: str) -> None:
        self._templates = templates
        self._chosen = chosen
        self._default = default

    def find(self, task: Task, deadline: Deadline, allows: Callable[[str], bool]) -> Template:
        """The template that the settings name for a task; else the default one, that of the task's name, or the first
        by name, if it is for the task.

        Args:
            allows: whether the template of a name may be used.

        Raises:
            UnknownWorkflow: there is none, or not the one that the settings name.
            BrokenWorkflow: the one that the settings name cannot be used.
            ComfyUIUnreachable, ComfyUIError, TimedOut: one may be, in the editor's format, and no server answers.
        """
        failure: BridgeError | None = None
        for each in (task, *STAND_INS.get(task, ())):
            name = self._chosen.get(each)
            if name is not None and allows(name):
                return self._chosen_one(name, deadline)
            found = self._first(each, deadline, allows)
            if isinstance(found, Template):
                return found
            failure = failure or found
        raise failure or UnknownWorkflow(
            f"No workflow that may be used here {ABILITIES[task]}. A template is for that if its parameter file has "
            f"task: {task}, or if COMFYBRIDGE_TASKS names it ({task}=NAME)."
        )

    def _chosen_one(self, name: str, deadline: Deadline) -> Template:
        try:
            return self._templates.get(name, deadline)
        except UnknownWorkflow as error:
            raise UnknownWorkflow(f"COMFYBRIDGE_TASKS: {error.message}") from None

    def _first(self, task: Task, deadline: Deadline, allows: Callable[[str], bool]) -> Template | BridgeError | None:
        """The first template for a task; why one could not be looked at if there is none."""
        failure: BridgeError | None = None
        for workflow in self._in_order(task):
            if not allows(workflow.name) or (failure is not None and isinstance(workflow, Unconverted)):
                continue
            try:
                template = self._templates.converted(workflow, deadline)
            except (BrokenWorkflow, InvalidWorkflow):
                continue
            except BridgeError as error:
                failure = error
                continue
            if task in template.tasks:
                return template
        return failure

    def _in_order(self, task: Task) -> Iterator[Template | Unconverted]:
        """The templates as they are asked; the usual ones first, without a look at the whole folder."""
        usual = dict.fromkeys((self._default, task))
        looked_at = set()
        for name in usual:
            workflow = self._templates.known(name)
            if workflow is None:
                break
            looked_at.add(name)
            yield workflow
        ranks = {name: rank for rank, name in enumerate(usual)}
        for workflow in sorted(self._templates.all(), key=lambda each: ranks.get(each.name, len(ranks))):
            if workflow.name not in looked_at:
                yield workflow
