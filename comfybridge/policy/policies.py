"""Which policy applies to which caller, as a file says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import ValidationError

from comfybridge.errors import InvalidWorkflow
from comfybridge.files.sent import MOST_FILES
from comfybridge.keys import DEFAULT
from comfybridge.policy.policy import Policy
from comfybridge.policy.rates import Bucket
from comfybridge.policy.rights import Rights
from comfybridge.settings import Settings, SettingsError, environment_name
from comfybridge.validation import wanted
from comfybridge.workflow.reading import read_yaml
from comfybridge.workflow.wording import clip, listed, nearest

SETTING = environment_name("policy_file")
KINDS = {"list_type": "a list of names", "string_too_short": "a name"}  # the lists in policies contain these


class Policies:
    """The policies of all callers. Safe to share between threads.

    Args:
        policies: by the names of keys, and under `default`.
        keys: the names of all keys.
        workflows_only: whether graphs and overrides are refused for everyone.
    """

    def __init__(self, policies: Mapping[str, Policy], keys: Collection[str] = (), *, workflows_only: bool = False):
        closed = {"graphs": False, "overrides": False} if workflows_only else {}
        default = policies.get(DEFAULT, Policy() if workflows_only else None)

        def rights(who: str, policy: Policy | None) -> Rights | None:
            if policy is None:
                return None
            policy = policy.model_copy(update=closed)
            if policy.rate is None:
                return Rights(who, policy)
            return Rights(who, policy, Bucket(policy.rate), Bucket(policy.rate.times(MOST_FILES)))

        # if it is refused for everyone, a key would not help
        self._others = rights("A caller of this bridge" if workflows_only else "A caller without an API key", default)
        self._of_keys = {name: rights(f"The API key {name}", policies.get(name, default)) for name in keys}

    def of(self, owner: str | None) -> Rights | None:
        """What a caller may request; None: anything. Callers without a known key share one policy and rate.

        Args:
            owner: the name of its key.
        """
        return self._of_keys.get(owner, self._others) if owner is not None else self._others


def load_policies(settings: Settings) -> Policies:
    """The policies that the settings name.

    Raises:
        SettingsError: the file cannot be read or is wrong; the message says why.
    """
    keys = [key.name for key in settings.api_keys]
    found = {} if settings.policy_file is None else _read(settings.policy_file)
    unknown = next((name for name in found if name != DEFAULT and name not in keys), None)
    if unknown is not None:
        raise SettingsError(
            f"{SETTING} names {clip(unknown)!r}, but {environment_name('api_keys')} has "
            f"{'keys of the names ' + listed(keys, unknown) if keys else 'no keys'}; "
            f"all others are {DEFAULT!r}."
        )
    return Policies(found, keys, workflows_only=settings.workflows_only)


def _read(path: Path) -> dict[str, Policy]:
    try:
        content = read_yaml(path)
    except InvalidWorkflow as error:
        raise SettingsError(f"{SETTING}: {error.message}") from None
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise SettingsError(f"{SETTING}: {path.name} must hold policies by the names of API keys, and {DEFAULT}.")
    policies = {}
    for name, fields in content.items():
        if not isinstance(fields, dict):
            raise SettingsError(
                f"{SETTING}: in {path.name}, {clip(name)} must be an object, with {', '.join(Policy.model_fields)}."
            )
        try:
            policies[name] = Policy.model_validate(fields)
        except ValidationError as error:
            raise SettingsError(f"{SETTING}: in {path.name}, {_problem(name, error)}") from None
    return policies


def _problem(name: str, error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(each) for each in (name, *first["loc"]))
    if first["type"] == "extra_forbidden":
        near = nearest(first["loc"][-1], Policy.model_fields)
        hint = f"did you mean {near}? T" if near else "t"
        return f"{clip(place)} is not a field of a policy; {hint}here are {', '.join(Policy.model_fields)}."
    kind = KINDS.get(first["type"]) or wanted(first)
    return f"{clip(place)} is {clip(first['input'])!r}; it must be {kind}."
