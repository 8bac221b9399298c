"""What an interface answered, read field by field: what is missing or of another type is never guessed at. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

from gatehouse.errors import Unanswered

_Value = TypeVar("_Value", str, int, bool)


@dataclass(frozen=True, slots=True)
class Answer:
    """JSON, and the question it answers: `GET /repos/octo/flights`. Every method raises Unanswered."""

    content: Any
    asked: str

    def at(self, *keys: str) -> Answer:
        """What stands under keys, one inside the other."""
        here = self
        for key in keys:
            if not isinstance(here.content, dict) or key not in here.content:
                self._unreadable(f"has no {'.'.join(keys)}")
            here = Answer(here.content[key], self.asked)
        return here

    def text(self, *keys: str) -> str:
        """A text, which may be empty."""
        return self._typed(str, keys)

    def number(self, *keys: str) -> int:
        """A whole number."""
        return self._typed(int, keys)

    def flag(self, *keys: str) -> bool:
        """True or false."""
        return self._typed(bool, keys)

    def identifier(self, *keys: str) -> str:
        """A number or a text that stands for one thing."""
        found = self.at(*keys).content
        if isinstance(found, bool) or not isinstance(found, int | str) or found == "":
            self._unreadable(f"has {found!r} as {'.'.join(keys)}")
        return str(found)

    def moment(self, *keys: str) -> datetime:
        """UTC."""
        text = self.text(*keys)
        try:
            moment = datetime.fromisoformat(_six_digits(text))
        except ValueError:
            self._unreadable(f"has {text!r} as {'.'.join(keys)}")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)

    def items(self, *keys: str) -> tuple[Answer, ...]:
        """The members of a list."""
        found = self.at(*keys).content
        if not isinstance(found, list):
            self._unreadable(f"has no list of {'.'.join(keys) or 'anything'}")
        return tuple(Answer(item, self.asked) for item in found)

    def maybe(self, *keys: str) -> Answer | None:
        """What stands under keys; None where one of them is absent or null."""
        here = self
        for key in keys:
            if here.content is None:
                return None
            if not isinstance(here.content, dict):
                self._unreadable(f"is not made as {'.'.join(keys)} needs it")
            if here.content.get(key) is None:
                return None
            here = Answer(here.content[key], self.asked)
        return here

    def maybe_text(self, *keys: str) -> str:
        """A text; empty where it is absent or null."""
        found = self.maybe(*keys)
        return found.text() if found else ""

    def _typed(self, kind: type[_Value], keys: tuple[str, ...]) -> _Value:
        found = self.at(*keys).content
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            self._unreadable(f"has {found!r:.80} as {'.'.join(keys) or 'the whole'}")
        value: _Value = found
        return value

    def _unreadable(self, what: str) -> NoReturn:
        raise Unanswered(
            f"The answer to {self.asked} {what}.",
            why="An answer that is only half understood says nothing for certain.",
            remedy="Look whether the provider's interface has changed, and whether the address is really its own.",
        )


def _six_digits(text: str) -> str:
    """Azure DevOps gives seven digits of a second, Python reads six."""
    start, point, rest = text.partition(".")
    if not point:
        return text
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{start}.{digits[:6].ljust(6, '0')}{rest[len(digits) :]}"
