"""An approval as tags of a model version: what a person sets who is asked by the registry, and not by a CI.

    approval          Approved, or Rejected; its name is that of the deployment job's task
    approval_record   the first twelve digits of the decision record's digest, a space, and who sets it

The first tag alone says nothing about what was read, nor by whom: it would count for every record that is ever made of
the version. So both are needed, and a record that is made anew makes them void. Databricks' own button sets the first,
in these capitals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatehouse.lakehouse.registry_rules import APPROVAL_RECORD_TAG, APPROVAL_TAG

APPROVED, REJECTED = "approved", "rejected"
DIGITS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Tagged:
    """What a version's tags say. `decision` is APPROVED, REJECTED or empty; `digits` of the record; `name` of a person.

    Nothing in it is proven: a registry keeps what a tag says, and not who set it.
    """

    decision: str
    digits: str
    name: str

    @classmethod
    def of(cls, tags: Mapping[str, str]) -> Tagged:
        """Read from a version's tags; capitals do not count."""
        said = tags.get(APPROVAL_TAG, "").strip().casefold()
        digits, _, name = tags.get(APPROVAL_RECORD_TAG, "").strip().partition(" ")
        return cls(
            decision=said if said in (APPROVED, REJECTED) else "", digits=digits.strip().casefold(), name=name.strip()
        )

    def approves(self, digest: str) -> bool:
        """Whether it says yes to the record of that digest."""
        return self.decision == APPROVED and bool(self.name) and self.digits == digest[:DIGITS]

    def to_tags(self) -> dict[str, str]:
        """The tags that say it. The one that decides comes last, so it never stands beside older digits."""
        return {APPROVAL_RECORD_TAG: f"{self.digits} {self.name}", APPROVAL_TAG: self.decision.capitalize()}
