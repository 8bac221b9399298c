"""Where an environment stands in time: now, or the moment that a replay of the past has reached."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from gatehouse.errors import ConfigurationError, StorageError
from gatehouse.settings import Environment, Replay, parse_as_of

if TYPE_CHECKING:
    from gatehouse.lakehouse.store import Store

_WAIT_SECONDS = 60.0
_AHEAD = timedelta(days=1)
"""Of this machine's clock, which may go wrong, or think of another time zone."""
_BEYOND = timedelta(days=366)
"""Of a replay's end: what its last days bring becomes known later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hand:
    """Where a clock stands. `moved_from` is where it stood before this step, None if it did not move.

    `replay` is None for a clock that shows now, and for a replay without steps.
    """

    as_of: datetime
    replay: Replay | None
    moved_from: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether the replay has reached its last moment."""
        return self.replay is not None and self.as_of >= _first_moment(self.replay.end)


class Clock:
    """An environment's as-of: what was asked for, else now, or the moment its replay has reached.

    `store` is where a replay keeps that moment between commands.
    """

    def __init__(self, store: Store, environment: Environment) -> None:
        self._environment = environment
        self._store = store
        self._name = clock_name(*environment.place)

    def read(self, asked: str | None) -> datetime:
        """The as-of of this command; ConfigurationError if nothing can be known of that moment yet."""
        if asked:
            return self._not_ahead(parse_as_of(asked))
        if self._environment.clock == "now":
            return datetime.now(UTC).replace(microsecond=0)
        reached = self._reached()
        if reached is not None:
            return reached
        if self._environment.replay is None:
            raise ConfigurationError(
                "This environment replays the past, and no command has said yet where it stands.",
                why="Its clock is kept in its own state, not taken from the machine.",
                remedy="Say it once: --as-of 2013-04-01    (or for good: `replay` in conf/environments.yml)",
            )
        return _first_moment(self._environment.replay.start)

    def stand(self) -> Hand:
        """Where it stands, without moving it."""
        return Hand(as_of=self.read(None), replay=self._environment.replay)

    def advance(self) -> Hand:
        """One step of a replay, the first one to its start, none beyond its end; a clock that shows now does not move.

        Raises:
            ConfigurationError: the environment replays the past, and nothing says in which steps.
        """
        if self._environment.clock == "now":
            return self.stand()
        replay = self._environment.replay
        if replay is None:
            raise ConfigurationError(
                "This environment replays the past, and conf/environments.yml does not say in which steps.",
                why="How far a run moves the clock decides which data the next one sees.",
                remedy="Add to it: replay: {start: 2013-07-01, step_days: 7, end: 2013-12-31}    (or use --as-of)",
            )
        with self._store.alone(f"{'.'.join(self._environment.place)}.clock", timeout=_WAIT_SECONDS):
            before = self._reached()
            if before is None:
                return self._moved(None, _first_moment(replay.start), replay)
            after = min(before + timedelta(days=replay.step_days), _first_moment(replay.end))
            return self._moved(before, after, replay)

    def keep(self, as_of: datetime) -> None:
        """Remember how far a replay has come; it never goes back."""
        if self._environment.clock != "replay":
            return
        reached = self._reached()
        if reached is not None and reached >= as_of:
            return
        self._store.write(self._name, json.dumps({"as_of": as_of.isoformat()}))

    def _not_ahead(self, asked: datetime) -> datetime:
        replay, now = self._environment.replay, datetime.now(UTC)
        if replay is not None and asked > _first_moment(replay.end) + _BEYOND:
            end = f"Environment {'.'.join(self._environment.place)} replays the past up to {replay.end}"
        elif asked > now + _AHEAD:
            end = f"It is {now:%Y-%m-%d} (UTC)"
        else:
            return asked
        raise ConfigurationError(
            f"--as-of {asked:%Y-%m-%d} lies in the future. {end}.",
            why="Tables would be complete up to that moment, and whatever came before it would never be taken in.",
            remedy="Write the moment up to which data may be read.",
        )

    def _moved(self, before: datetime | None, after: datetime, replay: Replay) -> Hand:
        if before is not None and after <= before:
            return Hand(as_of=before, replay=replay)
        self.keep(after)
        return Hand(as_of=after, replay=replay, moved_from=before)

    def _reached(self) -> datetime | None:
        text = self._store.read(self._name)
        if text is None:
            return None
        try:
            return datetime.fromisoformat(json.loads(text)["as_of"])
        except (ValueError, KeyError, TypeError):
            raise StorageError(
                f"{self._store.place(self._name)} is damaged.",
                why="It holds the moment this environment has reached.",
                remedy="Delete the file, and say --as-of once.",
            ) from None


def clock_name(catalog: str, schema: str) -> str:
    """What the moment that an environment's replay has reached is called in its store."""
    return f"state/{catalog}.{schema}.json"


def _first_moment(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
