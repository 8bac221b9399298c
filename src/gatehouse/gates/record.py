"""The decision record: all evidence for one candidate, in one canonical JSON text that anybody can judge again.

It binds what was judged (files, data, code, policy) to what was measured and concluded. Its digest stands on the
version's tags and in the audit log; approvals are bound to it. `replay.py` recomputes its verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from gatehouse.errors import DataError, StateError
from gatehouse.gates.closed import CLOSED, Digest, Moment, Number, Plain, Text, read, written
from gatehouse.gates.policy import Policy
from gatehouse.gates.verdict import Finding, Outcome, Verdict
from gatehouse.lakehouse import canonical

SCHEMA: Final = 1
"""Number of the form below. A record of another number is refused, never guessed at."""

NAMED = "The decision record"


@dataclass(frozen=True, kw_only=True, slots=True, config=CLOSED)
class Candidate:
    """The version that was judged."""

    version: Text
    files_digest: Digest
    """SHA-256 of the model's files, as the registry computes it."""
    lineage: Plain
    """Code, data versions, configuration, windows and seed of its training."""
    proposer: Text
    """Who started the training; `schedule` if nobody did."""
    authors: tuple[str, ...]
    """Who wrote the commits it was trained from, besides the proposer: they cannot approve it either."""


@dataclass(frozen=True, kw_only=True, slots=True, config=CLOSED)
class Opponent:
    """What the candidate was compared with."""

    kind: Literal["champion", "baseline", "threshold"]
    version: Text | None
    """The champion's; null otherwise."""
    files_digest: Digest | None
    """The champion's; null otherwise."""
    value: Number | None
    """The threshold's, in the unit of the primary metric; null otherwise."""

    @model_validator(mode="after")
    def _whole(self) -> Opponent:
        champion, threshold = self.kind == "champion", self.kind == "threshold"
        if not (champion == (self.version is not None) == (self.files_digest is not None)):
            raise ValueError("a champion, and nothing else, has a version and the digest of its files")
        if threshold != (self.value is not None):
            raise ValueError("a threshold, and nothing else, has a value")
        return self


@dataclass(frozen=True, kw_only=True, slots=True, config=CLOSED)
class RecordedPolicy:
    """The whole policy that was in force, with its digest."""

    content: Plain
    digest: Digest

    @classmethod
    def of(cls, policy: Policy) -> RecordedPolicy:
        """A policy as a record keeps it."""
        return cls(content=policy.model_dump(mode="json"), digest=policy.digest())

    def read(self) -> Policy:
        """The policy; DataError if it is none, or not the one of the digest."""
        try:
            policy = Policy.model_validate_json(canonical.dumps(self.content))
        except ValidationError as error:
            raise _not_the_policy(f"it is none ({error.error_count()} errors, {error.errors()[0]['msg']})") from None
        if policy.digest() != self.digest:
            raise _not_the_policy(f"its digest is {policy.digest()}, and {self.digest} was recorded")
        if canonical.dumps(policy.model_dump(mode="json")) != canonical.dumps(self.content):
            raise _not_the_policy("some of its settings are left out or written in another way")
        return policy


@dataclass(frozen=True, kw_only=True, slots=True, config=CLOSED)
class Refit:
    """The judged recipe, trained once more on all data up to as-of: the version that would be promoted."""

    version: Text
    files_digest: Digest
    score_shift: Annotated[Number, Field(ge=0)]
    """Mean absolute difference of its predictions from the judged version's."""
    evidence: Plain
    """What its own compliance and score shift were judged by."""
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True, slots=True, config=CLOSED)
class DecisionRecord:
    """One candidate, judged once. Moments are UTC."""

    schema: Literal[1]
    project: Text
    environment: Text
    model: Text
    """catalog.schema.name in the registry."""
    candidate: Candidate
    opponent: Opponent | None
    """Null if compliance already refused the candidate."""
    policy: RecordedPolicy
    compliance: Plain
    """Evidence of the compliance gate."""
    challenge: Plain | None
    """Evidence of the challenge; null if compliance already refused the candidate."""
    findings: tuple[Finding, ...]
    """What compliance and challenge found, in that order."""
    refit: Refit | None
    data_age_days: Annotated[Number, Field(ge=0)]
    """Days between the newest training row of the version that would be promoted and as-of."""
    verdict: Outcome
    """The outcome of all findings, those on the refit included."""
    code_commit: Text
    as_of: Moment
    created_at: Moment
    expires_at: Moment
    """The moment from which nobody may approve or promote by this record."""

    @model_validator(mode="after")
    def _whole(self) -> DecisionRecord:
        if (self.opponent is None) != (self.challenge is None):
            raise ValueError("an opponent and the evidence of the challenge belong together")
        if self.expires_at <= self.created_at:
            raise ValueError("it expires before it was made")
        return self

    @classmethod
    def of(
        cls,
        *,
        project: str,
        environment: str,
        model: str,
        candidate: Candidate,
        opponent: Opponent | None,
        policy: Policy,
        compliance: Mapping[str, Any],
        challenge: Mapping[str, Any] | None,
        findings: tuple[Finding, ...],
        refit: Refit | None,
        data_age_days: float,
        code_commit: str,
        as_of: datetime,
        created_at: datetime,
    ) -> DecisionRecord:
        """A new record: its verdict follows from the findings, its expiry from the policy."""
        return cls(
            schema=SCHEMA,
            project=project,
            environment=environment,
            model=model,
            candidate=candidate,
            opponent=opponent,
            policy=RecordedPolicy.of(policy),
            compliance=compliance,
            challenge=challenge,
            findings=findings,
            refit=refit,
            data_age_days=data_age_days,
            verdict=Verdict((*findings, *(refit.findings if refit else ()))).outcome,
            code_commit=code_commit,
            as_of=as_of,
            created_at=created_at,
            expires_at=created_at + timedelta(hours=policy.approval.valid_hours),
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> DecisionRecord:
        """Read a record, exactly.

        Raises:
            StorageError: it is no whole JSON text.
            StateError: it has the form of another version of Gatehouse.
            DataError: it is no record, or says something in a way that no record is written.
        """
        content = canonical.loads(text, named=NAMED)
        found = content.get("schema", SCHEMA) if isinstance(content, dict) else SCHEMA
        if found != SCHEMA:
            raise StateError(
                f"The decision record has the schema {found!r:.80}, and this version of Gatehouse reads {SCHEMA}.",
                why="A field that means something else in another version could turn its verdict round.",
                remedy="Read it with the version of Gatehouse that wrote it, or judge the model version again.",
            )
        return read(cls, content, named=NAMED)

    def to_json(self) -> str:
        """Its canonical JSON, which `from_json` reads."""
        return canonical.dumps(written(self))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON: what tags, approvals and the audit log know the record by."""
        return canonical.digest(written(self))

    @property
    def judged(self) -> Verdict:
        """All findings: the candidate's and its refit's."""
        return Verdict((*self.findings, *(self.refit.findings if self.refit else ())))

    @property
    def promoted(self) -> Candidate | Refit:
        """The version that an approval is for: the refit where there is one."""
        return self.refit or self.candidate


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of the record's canonical JSON."""
    schema = TypeAdapter(DecisionRecord).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _not_the_policy(reason: str) -> DataError:
    return DataError(
        f"The policy in the decision record is not the one it was judged by: {reason}.",
        why="Under another policy the same numbers can mean another verdict.",
        remedy="Use the record that Gatehouse wrote, or judge the version again with `gatehouse release`.",
    )
