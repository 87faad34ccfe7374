"""Documented silent incidents as drills, with their real shapes, and harmless changes as controls.

A preset is named as in the list of incidents that it is taken from; letters and numbers without one are ours.
"""

from __future__ import annotations

from unquiet.model.drills import Dose, Preset

PRESETS: tuple[Preset, ...] = (
    Preset(
        "D1",
        "routing error: 0.8 % to 16 % of requests over weeks, the same users",
        "smaller_model",
        Dose(0.16, "ramp", 26.0, sticky=True),
    ),
    Preset("D2", "corrupted output: foreign script in 0.3 % of the answers", "foreign_script", Dose(0.003)),
    Preset("D3", "approximate sampling: the same mean, twice the spread", "wider_spread", Dose(0.5)),
    Preset("D4", "a default turned from high to medium effort", "less_thought", Dose(1.0)),
    Preset(
        "D5",
        "a cache bug in resumed sessions only",
        "yesterdays_answers",
        Dose(0.7, condition="several turns", slice_share=0.25),
    ),
    Preset("D6", "a line in the prompt: at most 25 words", "length_cap", Dose(1.0)),
    Preset("D7", "sycophancy after an update", "sycophancy", Dose(0.3)),
    Preset("D8", "answers get lazy", "lazy", Dose(0.2)),
    Preset("D9", "drift of the format: answers come in code fences", "code_fences", Dose(0.5, slice_share=0.1)),
    Preset("D10", "fails for long inputs only", "truncation", Dose(0.6, condition="long input")),
    Preset("D11", "the system prompt was swapped for 16 hours", "other_tone", Dose(0.6, lasts_hours=16.0)),
    Preset("D12", "a router sends 70 % to a small model, the label stays", "smaller_model", Dose(0.7)),
    Preset("D13", "a silent downgrade of some accounts", "smaller_model", Dose(0.3, sticky=True)),
    Preset("D14", "a safeguard refuses 2 % of benign requests in one topic", "refusal", Dose(0.02, slice_share=0.2)),
    Preset(
        "D15",
        "a swallowed tool error and a fluent claim of success",
        "tool_error_narrated",
        Dose(0.3, condition="with tools"),
    ),
    Preset("D16", "a prompt edited in a dashboard breaks structured output", "broken_json", Dose(0.15)),
    Preset("D17", "a support bot starts to hand everything on: 8 % to 30 %", "handoff", Dose(0.22)),
    Preset("D18", "refusals of risky requests stop", "refusals_stop", Dose(1.0)),
    Preset("D20", "the index of a retrieval is stale", "stale_retrieval", Dose(0.1)),
    Preset("refusals", "a step of refusals in one slice", "refusal", Dose(0.4, slice_share=0.1)),
    Preset("deflections", "users of one slice are sent elsewhere", "deflection", Dose(0.4, slice_share=0.1)),
    Preset("tools_dropped", "calls dropped and success claimed", "tools_dropped", Dose(0.3, condition="with tools")),
    Preset("tools_promised", "calls announced and not made", "tools_promised", Dose(0.2, condition="with tools")),
    Preset("tool_loop", "the same call again and again", "tool_loop", Dose(0.2, condition="with tools")),
    Preset("clarify_runs", "questions instead of answers", "clarify_runs", Dose(0.15)),
    Preset("wrong_language", "one answer in ten is in another language", "wrong_language", Dose(0.1)),
    Preset(
        "tool_errors", "tools fail, and the answers do not say so", "tool_errors", Dose(0.2, condition="with tools")
    ),
    Preset("withheld", "a provider withholds 3 % of the answers, as successes", "withheld", Dose(0.03)),
    Preset("limit", "one answer in twenty runs into a limit", "limit", Dose(0.05)),
    Preset("fallback_model", "a fallback model serves one request in ten", "fallback_model", Dose(0.1)),
    Preset("text_lost", "half of the sessions are recorded without texts", "text_lost", Dose(0.5)),
    Preset("prompt_grows", "a prompt grows threefold for half of the users", "prompt_grows", Dose(0.5, sticky=True)),
    Preset("repetition", "one answer in twenty ends in a loop", "repetition", Dose(0.05)),
    Preset("empty", "3 % of the answers are empty", "empty", Dose(0.03)),
    Preset("headings", "headings and lists around a fifth of the answers", "headings", Dose(0.2)),
    Preset("json_answers", "users are shown JSON", "json_answers", Dose(0.05)),
    Preset("push_back", "useless answers that look as always", "push_back", Dose(0.5, condition="several turns")),
    Preset("policy_denial", "rules are pointed to in one slice", "policy_denial", Dose(0.3, slice_share=0.2)),
    Preset("capability_denial", "one answer in twenty denies an ability", "capability_denial", Dose(0.05)),
    Preset("abstention", "one answer in twenty takes no position", "abstention", Dose(0.05)),
    Preset("doubt", "a fifth of the answers hedge", "doubt", Dose(0.2)),
    Preset("lecture", "one answer in ten lectures", "lecture", Dose(0.1)),
    Preset("give_up", "useless answers: half of the users leave", "give_up", Dose(0.5, condition="several turns")),
    Preset("flicker", "refusals in every second hour", "refusal", Dose(0.1, "flicker")),
    Preset("D22", "control: the mix of requests shifts", "mix_shift", Dose(0.5)),
    Preset("D23", "control: a surge of traffic", "volume_surge", Dose(0.5)),
    Preset("weekend", "control: a fall of traffic", "weekend", Dose(0.6)),
    Preset("new_language", "control: users of a new language", "new_language", Dose(0.1)),
    Preset("harmless_deploy", "control: a release that changes nothing", "harmless_deploy", Dose(1.0)),
    Preset("nothing", "control: nothing changes", "nothing", Dose(1.0)),
)
