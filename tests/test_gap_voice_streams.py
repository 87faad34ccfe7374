"""The streams of voices keep their budget while nothing changes, and ring when people begin to complain."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from unquiet.gap.voice_streams import HOUR_US, HourCounts, by_hour, exposures, voice_alarms

DAYS, LEARN = 60, 7 * 24
IntArray = npt.NDArray[np.int64]
SHAPE = np.array([1, 1, 1, 1, 1, 2, 4, 8, 12, 14, 14, 13, 12, 13, 13, 12, 11, 9, 8, 7, 6, 4, 2, 1], np.float64)


def record(rng: np.random.Generator, per_day: float, topics: int, sessions_per_day: float = 600.0) -> HourCounts:
    """Voices by day, sessions by night and day, a quiet weekend."""
    hours = np.arange(DAYS * 24)
    week = np.where((hours // 24) % 7 >= 5, 0.65, 1.0)
    of_day = (SHAPE / SHAPE.sum())[hours % 24]
    sessions = rng.poisson(sessions_per_day * week / 24).astype(np.float64)
    share = rng.dirichlet(np.full(topics, 4.0))
    each = rng.poisson((per_day * week * of_day)[:, None] * share).astype(np.float64)
    return HourCounts((hours + 1) * HOUR_US, np.concatenate([each.sum(axis=1, keepdims=True), each], axis=1), sessions)


@pytest.mark.parametrize(("per_day", "topics"), [(2.0, 1), (6.0, 3), (60.0, 8), (900.0, 4)])
def test_the_budget_is_kept(per_day: float, topics: int) -> None:
    runs = 30
    found = [voice_alarms(record(np.random.default_rng(seed), per_day, topics), LEARN, 1.0) for seed in range(runs)]
    months = runs * (DAYS - 7) / 30
    assert sum(map(len, found)) / months <= 1.0


@pytest.mark.parametrize(("per_day", "topics"), [(6.0, 2), (60.0, 8)])
def test_a_new_complaint_rings(per_day: float, topics: int) -> None:
    delays: list[float] = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        counts = record(rng, per_day, topics)
        onset = 30 * 24
        more = rng.poisson(per_day / 24, DAYS * 24 - onset)
        counts.voices[onset:, topics] += more
        counts.voices[onset:, 0] += more
        rung = [alarm for alarm in voice_alarms(counts, LEARN, 1.0) if alarm.at_us > onset * HOUR_US]
        assert rung
        delays.append((rung[0].at_us / HOUR_US - onset) / 24)
        assert rung[0].now >= 1
    assert np.median(delays) < 7


def test_nothing_is_judged_while_it_is_learned() -> None:
    counts = record(np.random.default_rng(0), 6.0, 2)
    counts.voices[100:] += 5
    assert all(alarm.at_us > LEARN * HOUR_US for alarm in voice_alarms(counts, LEARN, 1.0))
    assert voice_alarms(counts, DAYS * 24, 1.0) == []


def test_an_alarm_knows_only_what_was_before_it() -> None:
    counts = record(np.random.default_rng(3), 20.0, 2)
    counts.voices[700:, :2] += 3
    whole = voice_alarms(counts, LEARN, 1.0)
    assert whole
    for alarm in whole[:3]:
        hours = alarm.at_us // HOUR_US
        part = HourCounts(counts.ends_us[:hours], counts.voices[:hours], counts.sessions[:hours])
        assert alarm in voice_alarms(part, LEARN, 1.0)


def test_counts_by_hour() -> None:
    said = np.array([30, 90, 90, 500], np.int64) * 60_000_000
    counts = by_hour(said, np.array([0, 1, -1, 0]), 2, np.array([61], np.int64) * 60_000_000, 0, 4 * HOUR_US)
    assert counts.ends_us.tolist() == [HOUR_US * k for k in (1, 2, 3, 4)]
    assert counts.voices.tolist() == [[1, 1, 0], [2, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert counts.sessions.tolist() == [0, 1, 0, 0]
    assert by_hour(said[:0], said[:0], 0, said, HOUR_US, HOUR_US).voices.shape == (0, 1)


def test_exposure_adds_up_to_the_sessions_of_a_day() -> None:
    counts = HourCounts(np.arange(1, 73) * HOUR_US, np.zeros((72, 1)), np.full(72, 10.0))
    assert exposures(counts)[24:].reshape(2, 24).sum(axis=1) == pytest.approx([240.0, 240.0])
