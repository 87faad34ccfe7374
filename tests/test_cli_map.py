"""`unquiet drill --map`: what its sentence says where little or nothing would be noticed, and which options it takes."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from unquiet.cli.commands import unquiet
from unquiet.cli.map_page import noticed
from unquiet.model.detectability import DetectabilityMap, Point
from unquiet.model.errors import ConfigError
from unquiet.model.slices import Slice

ACME = Slice((("tenant", "acme"),))


@pytest.mark.parametrize(
    ("whole", "part", "said"),
    [
        (
            {1: 0.04, 7: 0.01},
            {1: 0.2, 7: 0.1},
            (
                "In a day you would notice, 9 times in 10, a refusal that newly meets 4 % of all sessions, or one in 20 % of "
                "tenant=acme; from 1 % of all sessions on in 7 days; less than that is not sure to be noticed."
            ),
        ),
        (
            {1: 0.04, 7: None},
            {1: None, 7: None},
            (
                "In a day you would notice, 9 times in 10, a refusal that newly meets 4 % of all sessions, but not even one in "
                "all sessions of tenant=acme."
            ),
        ),
        (
            {1: None, 7: 0.45},
            {1: None, 7: None},
            (
                "In a day not even a refusal that newly meets all sessions would be noticed 9 times in 10, nor one in all sessions "
                "of tenant=acme; from 45 % of all sessions on in 7 days; less than that is not sure to be noticed."
            ),
        ),
        (
            {1: None, 7: None},
            {1: 0.5, 7: 0.4},
            (
                "In a day not even a refusal that newly meets all sessions would be noticed 9 times in 10, but one in 50 % of "
                "tenant=acme."
            ),
        ),
    ],
)
def test_the_sentence_says_so_where_nothing_would_be_noticed(
    whole: dict[int, float | None], part: dict[int, float | None], said: str
) -> None:
    points = (Point(Slice(), "refusal", "up", 90.0, 0.02, whole), Point(ACME, "refusal", "up", 20.0, 0.02, part))
    found = DetectabilityMap(points, ((Slice(), 90.0), (ACME, 20.0)), budget=1.0, delta=0.07)
    assert noticed(found, (1, 7)) == said


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--nightly"], "--nightly: not with --map."),
        (["--junit", "x.xml", "--fire"], "--junit, --fire: not with --map."),
        (["--preset", "D9", "--list"], "--preset, --list: not with --map."),
        (["--markdown", "x.md", "--seeds", "5"], "--seeds, --markdown: not with --map."),
        (["--rules", "x.yml", "--evals", "x.xml"], "--rules, --evals: not with --map."),
        (["--config", "x.toml"], "--config: not with --map."),
        (["--learn-days", "7"], "--learn-days: not with --map (--learn-days: only beside --traffic)."),
    ],
)
def test_options_that_the_map_does_not_use_are_refused(options: list[str], named: str) -> None:
    error = CliRunner().invoke(unquiet, ["drill", "--map", *options]).exception
    assert isinstance(error, ConfigError)
    assert str(error) == f"{named} Leave it out, or ask without --map."


def test_the_length_of_learning_is_used_beside_traffic() -> None:
    error = CliRunner().invoke(unquiet, ["drill", "--map", "--learn-days", "7", "--traffic", "none.jsonl"]).exception
    assert "not with --map" not in str(error)
    assert "none.jsonl" in str(error)
