"""Works the queue off, one version at a time: has it judged, and when a person has approved, has it promoted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gatehouse.errors import Busy, Interrupted, Refused
from gatehouse.gates.tagged import APPROVED, REJECTED, Tagged
from gatehouse.listening.queue import Entry, Queue, State

TRIES = 3
"""How often an approved version is tried whose steps fail, until somebody approves it anew or asks for it."""
STEPS = ("evaluation", "approval", "deployment")
"""Of the deployment job, in order."""
_LATER = (Busy.exit_code, Interrupted.exit_code)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What a version's tags say. `record` is the digest of its decision record, empty before it was judged.

    `shared`: it is the refit of a version that was judged, whose turn decides for it. `opens`: the gates opened.
    """

    record: str
    opens: bool
    shared: bool
    tagged: Tagged

    @classmethod
    def of(cls, version: str, tags: Mapping[str, str], *, record: str, verdict: str, judged: str) -> Standing:
        """Read from a version's tags, by the keys under which the gates keep what they found."""
        return cls(
            record=tags.get(record, ""),
            opens=tags.get(verdict, "").upper() == "PROMOTE",
            shared=tags.get(judged, version) != version,
            tagged=Tagged.of(tags),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """Works on one environment's queue. `step` runs one of STEPS for a version and gives its exit code."""

    queue: Queue
    step: Callable[[str, str], int]
    standing: Callable[[str], Standing]
    log: Callable[[str], None]

    def catch_up(self, versions: Mapping[str, Standing]) -> None:
        """Queue what no delivery came for: every version that is newer than the newest that was judged."""
        judged = max((int(v) for v, s in versions.items() if s.record), default=0)
        for version in sorted(versions, key=int):
            if int(version) > judged and self.queue.put(version, "found in the registry"):
                self.log(f"version {version} was made while nobody listened, and is queued")

    def round(self) -> None:
        """Everything that can be done now. What somebody else holds stays for the next round."""
        for entry in self.queue.entries(State.TODO):
            self._judge(entry)
        for entry in self.queue.entries(State.WAITING):
            self._look_for_approval(entry)

    def _judge(self, entry: Entry) -> None:
        version = entry.version
        self.log(f"version {version} is judged")
        code = self.step(STEPS[0], version)
        if code in _LATER:
            self.log(f"version {version} stays in the queue: exit code {code}")
            return
        if code != 0:
            self._settle(entry, State.FAILED, f"could not be judged: exit code {code}")
            return
        standing = self.standing(version)
        if standing.shared:
            self._settle(entry, State.DONE, "is a refit: the version that it was made of decides")
        elif standing.opens:
            self._settle(entry, State.WAITING, "waits for approval")
        else:
            self._settle(entry, State.DONE, "was not let through")

    def _look_for_approval(self, entry: Entry) -> None:
        standing = self.standing(entry.version)
        said = standing.tagged
        if said.decision == REJECTED:
            self._settle(entry, State.DONE, "was rejected")
            return
        seen = f"{said.decision} {said.digits} {said.name} of {standing.record}"
        before, _, tried = entry.note.rpartition(" x")
        tries = int(tried) if before == seen else 0
        if said.decision != APPROVED or tries >= TRIES:
            return  # nobody has said anything, or nothing new
        for name in STEPS[1:]:
            code = self.step(name, entry.version)
            if code == 0:
                continue
            self.log(f"version {entry.version} waits on: {name} ended with exit code {code}")
            if code not in _LATER:
                tries = TRIES if code == Refused.exit_code else tries + 1
                self.queue.settle(entry, State.WAITING, f"{seen} x{tries}")
            return
        self._settle(entry, State.DONE, "is the champion")

    def _settle(self, entry: Entry, state: State, note: str) -> None:
        self.log(f"version {entry.version} {note}")
        self.queue.settle(entry, state, note)
