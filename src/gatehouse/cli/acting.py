"""Who runs a command: whom the platform let sign in; where it lets nobody, whoever says so, or the CI for somebody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.errors import Refused

if TYPE_CHECKING:
    from gatehouse.ci.provider import Provider
    from gatehouse.gates.consent import Witness
    from gatehouse.gates.identity import Identity
    from gatehouse.lakehouse.platform import SignedIn


def acting(provider: Provider, signed: SignedIn | None, as_name: str | None) -> Identity:
    """Who is signed in; else `--as`, whoever started the CI's run, git's user.email.

    A service principal that a CI uses acts for whoever started the run.

    Raises:
        UsageError: nobody can be named.
        Refused: `--as` names somebody else than who is signed in.
    """
    from gatehouse.gates.identity import (
        SCHEDULE,
        Identity,
        Strength,
        git_config_of,
        local_identity,
        provider_identity,
    )

    itself = established(signed, as_name) if signed else None
    if itself and (provider.name in ("none", "databricks") or (signed and signed.is_person)):
        return itself
    if as_name is not None or provider.name == "none":
        return itself or local_identity(as_name, git_config_of(Path.cwd()))
    run = provider.run()
    source = f"run {run.id} of {run.repository} ({provider.name})"
    if itself:
        source += f", {itself.established_by} by {itself.name}"
    if run.scheduled:
        return Identity(name=SCHEDULE, established_by=source, strength=Strength.PROVEN)
    if not run.people:
        return itself or local_identity(None, git_config_of(Path.cwd()))
    return provider_identity(run.people[0], source, proven=provider.name != "jenkins")


def deciding(signed: SignedIn | None, as_name: str | None) -> tuple[Identity, Witness | None]:
    """Who says a word that counts as a person's, and what the platform says of them beside a name.

    Raises:
        UsageError: nobody can be named.
        Refused: `--as` names somebody else than who is signed in, or that is a service principal.
    """
    from gatehouse.gates.consent import Witness
    from gatehouse.gates.identity import git_config_of, local_identity

    if signed is None:  # also in a CI, where a name is no more than claimed
        return local_identity(as_name, git_config_of(Path.cwd())), None
    actor = established(signed, as_name)
    if not signed.is_person:
        raise Refused(
            f"{signed.name} is signed in to {signed.place}, and is a service principal.",
            why="A person has to decide, and whoever has its secret can be it.",
            remedy=f"databricks auth login --host {signed.place}    as yourself (in a CI: gatehouse approve --from-ci)",
        )
    witness = Witness(
        provider="databricks",
        environment=signed.place,
        environment_id="",
        protected=True,
        run="",
        comment="",
        also=signed.also,
        proposers=(),
    )
    return actor, witness


def proposing(signed: SignedIn | None, proposer: str | None) -> str | None:
    """Who proposes a version: `proposer`, unless a person is signed in, who proposes it then.

    Raises:
        Refused: `proposer` is somebody else than that person.
    """
    if signed is None or not signed.is_person:
        return proposer
    return established(signed, proposer, option="--proposer").name


def established(signed: SignedIn, name: str | None, *, option: str = "--as") -> Identity:
    """Who is signed in; Refused if `name` is given, and is none of theirs."""
    from gatehouse.gates.identity import people, provider_identity, same_person

    if name is not None and same_person(name) not in people([signed.name, *signed.also]):
        raise Refused(
            f"{option} names {name!a}, and {signed.name} is signed in to {signed.place}.",
            why="There a person is who signed in; a name that anybody can type would let one person act as two.",
            remedy=f"Leave {option} out; or databricks auth login --host {signed.place}    as {name!a}",
        )
    return provider_identity(signed.name, f"the sign-in to {signed.place}", proven=True)
