"""Documented silent incidents as drills, with their real shapes."""

from __future__ import annotations

from unquiet.model.drills import Dose, Preset

PRESETS: tuple[Preset, ...] = (
    Preset(
        "D9",
        "answers of code come wrapped in fences (GPT-4, March to June 2023)",
        "code_fences",
        Dose(1.0, slice_share=0.1),
    ),
    Preset("D14", "a safeguard refuses 2 % of benign requests in one topic", "refusal", Dose(0.3, slice_share=0.1)),
    Preset("D15", "a tool is not called and success is claimed", "tools_dropped", Dose(0.3, condition="with tools")),
    Preset("D8", "answers get lazy and end early (GPT-4, November 2023)", "truncation", Dose(0.3)),
)
