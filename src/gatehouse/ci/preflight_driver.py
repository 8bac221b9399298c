"""Whether each environment has exactly one judge of new versions. Pure, as `preflight`."""

from __future__ import annotations

from gatehouse.ci.preflight import Line, State, ok, unseen
from gatehouse.errors import Unanswered


def driver_line(env: str, driver: str, told: str | Unanswered | None, *, attach: str, detach: str) -> Line:
    """What conf/ says beside what the registry does.

    `told` is whom the registry tells of each new version, in words, None if nobody; `attach` and `detach` are the
    commands that change that.
    """
    about = f"judge of {env}"
    if isinstance(told, Unanswered):
        return unseen(about, told, attach if driver == "registry" else detach)
    if driver == "registry":
        if told is not None:
            return ok(about, f"The registry reports new versions to {told}, and nobody else judges them.")
        reason = "conf/ has the registry judge (driver: registry), and it reports new versions to nobody."
        return Line(about=about, state=State.PROBLEM, reason=reason, remedy=attach)
    if told is None:
        return ok(about, "The release judges, and the CI asks for approval (driver: ci).")
    reason = f"The release judges (driver: ci), and so does {told}, which is told of each new version: two judges."
    remedy = f"{detach}    (or write driver: registry for {env} into conf/environments.yml)"
    return Line(about=about, state=State.PROBLEM, reason=reason, remedy=remedy)
