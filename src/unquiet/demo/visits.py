"""Who comes when and for what: the rhythm of day and week, and the mix of requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from unquiet.demo.shop import CHANNELS, DAILY, HOURLY, MARKETS, RELEASES, SCRIPTS, TENANTS, Release

_DAY_S = 86_400.0
_HOUR_S = 3_600.0
_VISITS_PER_CUSTOMER = 2.2
_APP_UPDATE_S = 36 * _HOUR_S
_ID_BITS = 40
_ID_STEP = 0x9E3779B97F | 1


@dataclass(frozen=True, slots=True)
class Visit:
    """One session before anything is said. `at_s` is seconds since the story's start."""

    session_id: str
    at_s: float
    user_id: str
    intent: str
    locale: str
    tenant: str
    channel: str
    app_version: str
    prompt_version: str


@dataclass(frozen=True, slots=True)
class Customers:
    """The customers of one locale: parallel arrays."""

    tenant: npt.NDArray[np.int64]
    channel: npt.NDArray[np.int64]
    app_delay_s: npt.NDArray[np.float64]


def release_s(release: Release, days: int) -> float:
    """When the release happened, in seconds since the story's start."""
    return int(release.day_share * days) * _DAY_S + release.hour * _HOUR_S


def version(kind: str, at_s: float, days: int) -> str:
    """The version of a kind of thing that is out at a time."""
    current = next(release.before for release in RELEASES if release.kind == kind)
    for release in RELEASES:
        if release.kind == kind and at_s >= release_s(release, days):
            current = release.after
    return current


def draw_visits(rng: np.random.Generator, *, start: datetime, days: int, sessions_per_day: int) -> Iterator[Visit]:
    """The sessions of the story in the order of their start."""
    customers = {
        locale: _customers(rng, max(1, round(sessions_per_day * days * market.share / _VISITS_PER_CUSTOMER)))
        for locale, market in MARKETS.items()
    }
    arrivals = [
        _arrivals(rng, start + timedelta(days=day), day, place, sessions_per_day, len(customers[locale].tenant))
        for day in range(days)
        for place, locale in enumerate(MARKETS)
    ]
    at_s, place, customer, intent = (np.concatenate(column) for column in zip(*arrivals, strict=True))
    order = np.argsort(at_s, kind="stable")
    salt = int(rng.integers(2**_ID_BITS))
    locales, intents = tuple(MARKETS), tuple(SCRIPTS)
    for number, row in enumerate(order.tolist()):
        locale = locales[place[row]]
        who = int(customer[row])
        yield _visit(
            f"{(salt + number * _ID_STEP) % 2**_ID_BITS:010x}",
            float(at_s[row]),
            f"{locale[3:].lower()}-{who:05d}",
            intents[intent[row]],
            locale,
            customers[locale],
            who,
            days,
        )


def _visit(
    session_id: str,
    at_s: float,
    user_id: str,
    intent: str,
    locale: str,
    customers: Customers,
    who: int,
    days: int,
) -> Visit:
    channel = tuple(CHANNELS)[customers.channel[who]]
    delay_s = float(customers.app_delay_s[who]) if channel == "app" else 0.0
    return Visit(
        session_id,
        at_s,
        user_id,
        intent,
        locale,
        tuple(TENANTS)[customers.tenant[who]],
        channel,
        version("app", at_s - delay_s, days),
        version("prompt", at_s, days),
    )


def _customers(rng: np.random.Generator, count: int) -> Customers:
    return Customers(
        rng.choice(len(TENANTS), count, p=_shares(tuple(TENANTS.values()))),
        rng.choice(len(CHANNELS), count, p=_shares(tuple(CHANNELS.values()))),
        rng.random(count) * _APP_UPDATE_S,
    )


def _arrivals(
    rng: np.random.Generator,
    date: datetime,
    day: int,
    place: int,
    sessions_per_day: int,
    customer_count: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """A day of one locale: start times, the locale, the customers (some come often) and their requests."""
    market = tuple(MARKETS.values())[place]
    count = int(rng.poisson(sessions_per_day * market.share * DAILY[date.weekday()]))
    hour = rng.choice(len(HOURLY), count, p=_shares(HOURLY))
    at_s = day * _DAY_S + ((hour - market.utc_offset_h) % 24 + rng.random(count)) * _HOUR_S
    customer = (rng.random(count) ** 1.3 * customer_count).astype(np.int64)
    mix = {name: s.weekend if date.weekday() >= 5 else s.weekday for name, s in SCRIPTS.items()}
    intent = rng.choice(len(mix), count, p=_shares(tuple(mix.values())))
    return np.round(at_s, 3), np.full(count, place), customer, intent


def _shares(weights: Sequence[float] | Mapping[str, float]) -> npt.NDArray[np.float64]:
    values = np.array(weights, np.float64)
    return values / values.sum()
