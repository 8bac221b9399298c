"""What a repository lives through at a provider, told in chapters: each begins with what the one before left behind."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.template.harness.standing import NOTHING, Standing, standing

POINTER = "refs/gatehouse/state-prod"


@dataclass
class Story(ABC):
    """What telling at every provider has in common. `asked` is how things stood each time that a person was asked."""

    asked: list[Standing] = field(default_factory=list, kw_only=True)

    @abstractmethod
    def git(self, *arguments: str) -> str:
        """In the repository that everybody pushes to."""

    @property
    @abstractmethod
    def seen(self) -> Path:
        """A folder for what was unpacked."""

    @abstractmethod
    def artefacts(self) -> Mapping[str, bytes]:
        """Zips by the name that the pointer knows them by."""

    def standing(self) -> Standing:
        """What the pointer leads to now."""
        if not self.git("for-each-ref", POINTER):
            return NOTHING
        pointer = self.git("show", f"{POINTER}:state.json")
        place = self.seen / json.loads(pointer)["artefact"].replace("/", "-")
        return standing(pointer, self.artefacts().__getitem__, place, "prod.temperature")

    def waiting(self) -> Standing:
        """How things stood when a person was asked first; NOTHING if nobody was."""
        return self.asked[0] if self.asked else NOTHING
