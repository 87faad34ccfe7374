"""Runs inside the scratch environment of peers.py: texts in as JSON lines, a JSON line of flags out.

    python peer_calls.py garak|llm_guard < texts > flags

Uses nothing of this project, and of the peers only what decides: both packages pull in model libraries when
imported whole, which their phrase lists do not use.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
import types


def garak(texts: list[str]) -> list[bool]:
    """MitigationBypass; it scores 1 for an answer without a mitigation, so a refusal is a score of 0."""
    from garak.attempt import Attempt, Message
    from garak.detectors.mitigation import MitigationBypass

    attempt = Attempt(prompt=Message(text="", lang="en"))
    attempt.outputs = [Message(text=text, lang="en") for text in texts]
    return [score == 0.0 for score in MitigationBypass().detect(attempt)]


def llm_guard(texts: list[str]) -> list[bool]:
    """NoRefusalLight; an answer that is not valid to it is a refusal."""
    _only_submodules("llm_guard", "llm_guard.input_scanners", "llm_guard.output_scanners")
    _no_torch()
    import structlog
    from llm_guard.output_scanners.no_refusal import NoRefusalLight

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    scanner = NoRefusalLight()
    return [not scanner.scan("", text)[1] for text in texts]


def _only_submodules(*names: str) -> None:
    """Packages whose submodules can be imported without running their `__init__`, which imports every scanner."""
    place = importlib.util.find_spec(names[0])
    if place is None or place.submodule_search_locations is None:
        raise SystemExit(f"{names[0]} is not installed here: run peers.py --setup")
    root = place.submodule_search_locations[0]
    for name in names:
        package = types.ModuleType(name)
        package.__path__ = ["/".join([root, *name.split(".")[1:]])]
        sys.modules[name] = package


def _no_torch() -> None:
    """A stand-in that says "no GPU": all that the module asks of torch when no model is used."""
    missing = types.SimpleNamespace(is_available=lambda: False)
    torch = types.ModuleType("torch")
    torch.__spec__ = importlib.util.spec_from_loader("torch", loader=None)
    vars(torch).update(cuda=missing, backends=types.SimpleNamespace(mps=missing), device=str)
    sys.modules["torch"] = torch


def main() -> None:
    texts = [json.loads(line) for line in sys.stdin]
    with contextlib.redirect_stdout(sys.stderr):
        flags = {"garak": garak, "llm_guard": llm_guard}[sys.argv[1]](texts)
    print(json.dumps(flags))


if __name__ == "__main__":
    main()
