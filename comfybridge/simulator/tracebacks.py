"""Invented tracebacks, in the form in which ComfyUI puts them into error bodies and events.

They contain a server's paths, which a client must not reveal.
"""

_ROOT = "/srv/comfyui"


def traceback_lines(function: str, statement: str, file: str = "execution.py", line: int = 1010) -> list[str]:
    """Two frames that end in `statement` of `function`."""
    outer = f'  File "{_ROOT}/main.py", line 195, in prompt_worker\n    run(item)\n'
    inner = f'  File "{_ROOT}/{file}", line {line}, in {function}\n    {statement}\n'
    return [outer, inner]
