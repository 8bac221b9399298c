"""Who runs a command: the person at the keyboard, or the one for whom a CI runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatehouse.ci.provider import Provider
    from gatehouse.gates.identity import Identity


def acting(provider: Provider, as_name: str | None) -> Identity:
    """`--as`, else whoever started the CI's run, else git's user.email.

    Raises:
        UsageError: nobody can be named.
    """
    from gatehouse.gates.identity import (
        SCHEDULE,
        Identity,
        Strength,
        git_config_of,
        local_identity,
        provider_identity,
    )

    if as_name is not None or provider.name == "none":
        return local_identity(as_name, git_config_of(Path.cwd()))
    run = provider.run()
    source = f"run {run.id} of {run.repository} ({provider.name})"
    if run.scheduled:
        return Identity(name=SCHEDULE, established_by=source, strength=Strength.PROVEN)
    if not run.people:
        return local_identity(None, git_config_of(Path.cwd()))
    return provider_identity(run.people[0], source, proven=provider.name != "jenkins")
