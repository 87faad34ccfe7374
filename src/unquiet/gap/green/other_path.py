"""What was evaluated is not what served the users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pyarrow as pa

from unquiet.gap.green.scene import HOLDS, MOOT, NOT, UNKNOWN, Finding, Scene

COLUMNS = ("model", "prompt_hash", "tools_hash")
"""What EVAL_RESULTS tells of the path in columns of its own; the rest is in its facets."""

SHOWN = 3


class OtherPath:
    """Model, prompt, tools or version of the evals are not those that answered the affected sessions."""

    name = "evaluated path is not the served path"

    def judge(self, scene: Scene) -> Finding:
        """By the values that evals since the onset and affected sessions have in common."""
        if not scene.results.num_rows:
            return Finding(self.name, UNKNOWN, "no eval results are known: add reports with `unquiet evals PATH`")
        if not scene.after.any():
            return Finding(self.name, MOOT, "no run since the onset: what it would have run on is not known")
        evaluated = evaluated_path(scene.results.filter(pa.array(scene.after)))
        shared = [facet for facet in scene.served if facet in evaluated]
        evidence = {
            "compared": {f: {"evaluated": dict(evaluated[f]), "served": dict(scene.served[f])} for f in shared},
            "evaluated_only": sorted(evaluated.keys() - scene.served.keys()),
        }
        if not shared:
            missing = "the reports do not say" if scene.served else "neither the reports nor the traffic say"
            return Finding(self.name, UNKNOWN, f"{missing} which model, prompt or version was evaluated", evidence)
        apart = [facet for facet in shared if not set(evaluated[facet]) & set(scene.served[facet])]
        if apart:
            return Finding(self.name, HOLDS, _said(scene, evaluated, apart), evidence, 0.95)
        return Finding(self.name, NOT, f"the evals ran on what served: same {', '.join(shared)}", evidence)


def _said(scene: Scene, evaluated: Mapping[str, Mapping[str, int]], apart: list[str]) -> str:
    told = [
        f"{facet} {_values(evaluated[facet])} was evaluated, {_values(scene.served[facet])} served" for facet in apart
    ]
    return f"the evals ran on something else than the users got: {'; '.join(told)}"


def _values(counts: Mapping[str, int]) -> str:
    names = sorted(counts, key=lambda name: (-counts[name], name))
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def evaluated_path(results: pa.Table) -> dict[str, Counter[str]]:
    """Facet to its values in eval results with their counts; names as `path_name` writes them."""
    found: dict[str, Counter[str]] = {}
    for name in COLUMNS:
        known = results.column(name).drop_null()
        if len(known):
            found[name] = Counter(known.to_pylist())
    for pairs in results.column("facets").to_pylist():
        for key, value in pairs or ():
            found.setdefault(path_name(key), Counter())[value] += 1
    return found


def path_name(name: str) -> str:
    """A facet name as it is compared: `prompt.hash` and `prompt-hash` are `prompt_hash`."""
    return name.lower().replace(".", "_").replace("-", "_").replace(" ", "_")
