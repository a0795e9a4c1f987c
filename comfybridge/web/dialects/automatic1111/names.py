"""What the fields of requests are called in workflows."""

from __future__ import annotations

from comfybridge.workflow.dialect_rules import DialectRules
from comfybridge.workflow.template import Template

DIALECT = "automatic1111"
# The parameters that fields set, if the workflow does not say otherwise.
PARAMETERS = {
    "cfg_scale": "cfg",
    "denoising_strength": "denoise",
    "distilled_cfg_scale": "guidance",
    "vae": "vae",
}
FIELDS = {parameter: name for name, parameter in PARAMETERS.items()}
_NO_RULES = DialectRules()


def rules_of(template: Template) -> DialectRules:
    """How a template reads this dialect."""
    return template.dialects.get(DIALECT, _NO_RULES)


def parameter_of(template: Template, field: str) -> str | None:
    """The parameter that a field sets; None if the template has none, or ignores the field."""
    rules = rules_of(template)
    if field in rules.ignore:
        return None
    name = rules.rename.get(field) or PARAMETERS.get(field, field)
    return name if name in template.parameters else None
