"""What the self-watch learns: the usual week, the usual share of text; bounded whatever traffic brings."""

from __future__ import annotations

import json

import numpy as np
import pytest

from selfwatch_worlds import DAY_US, HOUR_US, MINUTE_US, MONDAY_US, SECOND_US, office_rate
from unquiet.selfwatch import Capture, Latest, Recent, Share, Skew, Traffic
from unquiet.selfwatch.windows import MOST_KEYS, OTHERS


def lived(traffic: Traffic, until_us: int, rng: np.random.Generator, per_minute: float | None = None) -> None:
    """Minutes of Poisson traffic up to a moment."""
    now = traffic._now_us
    while now < until_us:
        now += MINUTE_US
        traffic.advance(now)
        count = int(rng.poisson(office_rate(now) if per_minute is None else per_minute))
        if count:
            traffic.add(now, count)


@pytest.fixture
def week() -> Traffic:
    """A week and a Monday morning of office traffic."""
    traffic = Traffic(MONDAY_US)
    lived(traffic, MONDAY_US + 7 * DAY_US + 10 * HOUR_US, np.random.default_rng(3))
    return traffic


def quiet(traffic: Traffic, from_us: int, to_us: int) -> int | None:
    """The moment at which a silence becomes unusual, None where it does not."""
    for now in range(from_us, to_us, 10 * SECOND_US):
        silence = traffic.silence(now)
        if silence and silence.unusual:
            return now
    return None


def test_nothing_is_said_before_a_week_is_known() -> None:
    traffic = Traffic(MONDAY_US)
    lived(traffic, MONDAY_US + 6 * DAY_US, np.random.default_rng(3))
    assert not traffic.week_known
    assert traffic.silence(MONDAY_US + 6 * DAY_US + HOUR_US) is None


def test_rates_are_those_of_the_week(week: Traffic) -> None:
    noon, night = MONDAY_US + 36 * HOUR_US, MONDAY_US + 27 * HOUR_US
    assert week.rate(noon) == pytest.approx(1800, rel=0.1)
    assert week.rate(night) == pytest.approx(60, rel=0.5)
    # The edge of the working day counts as the quieter hour beside it.
    assert week.rate(MONDAY_US + 32 * HOUR_US) == week.rate(MONDAY_US + 31 * HOUR_US)
    assert week.expected(noon, noon + 30 * MINUTE_US) == pytest.approx(week.rate(noon) / 2)
    assert 1.0 <= week.burst < 2.0


def test_a_busy_stop_is_seen_soon_and_a_night_stop_when_chance_is_ruled_out(week: Traffic) -> None:
    now = week._now_us
    seen = quiet(week, now, now + HOUR_US)
    assert seen is not None
    assert seen - now <= 2 * MINUTE_US
    began = MONDAY_US + 8 * DAY_US + 2 * HOUR_US
    seen = quiet(Traffic.restored(week.state(), began), began, began + 4 * HOUR_US)
    assert seen is not None
    # One a minute: a silence of e^-13.8 takes a quarter of an hour, and longer where arrivals come in bursts.
    assert 14 * MINUTE_US <= seen - began <= 40 * MINUTE_US


def test_a_trickle_is_no_traffic(week: Traffic) -> None:
    now = week._now_us
    unusual = []
    for minute in range(1, 60):
        week.advance(now + minute * MINUTE_US)
        if minute % 5 == 0:
            week.add(now + minute * MINUTE_US)
        silence = week.silence(now + minute * MINUTE_US)
        unusual.append(silence is not None and silence.unusual)
    assert all(unusual[20:])


def test_a_fifth_of_the_traffic_is_a_holiday() -> None:
    traffic = Traffic(MONDAY_US)
    rng = np.random.default_rng(5)
    lived(traffic, MONDAY_US + 7 * DAY_US + 8 * HOUR_US, rng)
    for _ in range(600):
        lived(traffic, traffic._now_us + MINUTE_US, rng, 6.0)
        silence = traffic.silence(traffic._now_us)
        assert silence is not None
        assert not silence.unusual


@pytest.mark.parametrize("seed", range(4))
def test_slow_bursty_traffic_is_quiet(seed: int) -> None:
    """Sessions of about eight bodies within some minutes, two sessions an hour: gaps of hours are usual."""
    rng = np.random.default_rng(seed)
    traffic = Traffic(MONDAY_US)
    end = MONDAY_US + 16 * DAY_US
    starts = np.cumsum(rng.exponential(HOUR_US / 2, 20 * 48)) + MONDAY_US
    sizes = 1 + rng.poisson(7, len(starts))
    times = np.sort(
        np.concatenate([t + np.cumsum(rng.exponential(40e6, n)) for t, n in zip(starts, sizes, strict=True)])
    )
    assert times[-1] > end
    place = 0
    for now in range(MONDAY_US, end, 5 * MINUTE_US):
        traffic.advance(now)
        after = int(np.searchsorted(times, now))
        if after > place:
            traffic.add(now, after - place)
            place = after
        silence = traffic.silence(now)
        assert silence is None or not silence.unusual
    assert traffic.week_known
    assert traffic.burst > 2


def test_a_pause_of_the_service_is_neither_silence_nor_learned(week: Traffic) -> None:
    hours = week._hours.copy()
    back = week._now_us + 5 * HOUR_US
    week.advance(back)
    assert np.array_equal(week._hours, hours)
    assert quiet(week, back, back + 50 * SECOND_US) is None
    assert quiet(week, back, back + 3 * MINUTE_US) is not None


def test_what_was_learned_survives_a_restart(week: Traffic) -> None:
    again = Traffic.restored(json.loads(json.dumps(week.state())), week._now_us)
    assert again.week_known
    assert again.rate(MONDAY_US) == week.rate(MONDAY_US)
    assert again.burst == week.burst
    assert again.last_us == week.last_us


def test_capture_learns_freezes_and_accepts() -> None:
    capture = Capture()
    now = MONDAY_US
    for _ in range(30):
        capture.add("app", now, 10, 9)
        now += MINUTE_US
    assert capture.contents()["app"].usual == pytest.approx(0.9)
    gone = now
    while not capture.contents()["app"].off:
        capture.add("app", now, 10, 0)
        now += 10 * SECOND_US
    assert now - gone <= MINUTE_US
    for _ in range(6 * 24):
        capture.add("app", now, 10, 0)
        now += HOUR_US
        assert capture.contents()["app"].off
    for _ in range(2 * 24):
        capture.add("app", now, 10, 0)
        now += HOUR_US
    assert capture.contents()["app"].usual == 0.0
    assert not capture.contents()["app"].off


def test_capture_forgives_at_once_when_text_is_back() -> None:
    capture = Capture()
    for i in range(100):
        capture.add("app", MONDAY_US + i * MINUTE_US, 10, 0 if 60 <= i < 80 else 10)
        assert capture.contents()["app"].off == (62 <= i < 82)
    again = Capture.restored(json.loads(json.dumps(capture.state())))
    assert again.contents()["app"].usual == pytest.approx(capture.contents()["app"].usual or 0.0)
    assert again.contents()["app"].turns == 0


def test_latest_and_recent_are_windows() -> None:
    latest = Latest(10)
    for hits in (0, 5, 3):
        latest.add("a", hits, 5)
    latest.add("a", 1, 0)
    assert latest.share("a") == Share(8, 10)
    latest.add("a", 0, 500)
    assert latest.shares() == {"a": Share(0, 500)}
    assert latest.share("unheard of") == Share(0, 0)
    recent = Recent(minutes=2)
    for minute in range(4):
        recent.add(minute * MINUTE_US, "x", 2)
    assert recent.sums(3 * MINUTE_US) == {"x": 4}
    assert recent.sums(9 * MINUTE_US) == {}


def test_names_from_traffic_cannot_fill_memory() -> None:
    latest, recent, skew, capture = Latest(5), Recent(), Skew(), Capture()
    for i in range(3 * MOST_KEYS):
        latest.add(f"s{i}", 1, 1)
        recent.add(0, f"s{i}")
        skew.add(f"s{i}", 1.0)
        capture.add(f"s{i}", 0, 1, 1)
    for held in (latest.shares(), recent.sums(0), skew.medians(), capture.contents()):
        assert len(held) == MOST_KEYS + 1
        assert OTHERS in held


def test_skew_is_a_median() -> None:
    skew = Skew()
    for seconds in (2.0, 3.0, 90_000.0, 2.5):
        skew.add("app", seconds)
    assert skew.medians() == {"app": 2.75}
