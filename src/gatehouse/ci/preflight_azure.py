"""What stands between a checkout on Azure DevOps and a release that works. Pure: answers in, lines out."""

from __future__ import annotations

from collections.abc import Iterator

from gatehouse.ci.answer import Answer
from gatehouse.ci.azure_approval import APPROVAL_CHECK
from gatehouse.ci.preflight import Line, State, Told, Wanted, ok, unseen
from gatehouse.errors import Unanswered

BUILD_VALIDATION = "0609b952-1397-4640-95ec-e00a01b2c241"
"""The identifier of the type of branch policy that runs a pipeline on each pull request."""
_LOCK = "exclusivelock"


def judge_azure_pipelines(told: Told, wanted: Wanted, web: str) -> Iterator[Line]:
    """Whether there is a pipeline for each file of the checkout."""
    if isinstance(told, Unanswered) or told is None:
        yield unseen("pipelines", told or Unanswered("Azure DevOps has no answer."), f"{web}/_build")
        return
    names = {found.text("name").casefold() for found in told.items("value")}
    for name in wanted.workflows:
        about = f"pipeline {name}"
        if name.casefold() in names:
            yield ok(about, "It exists.")
            continue
        command = f"az pipelines create --name {name} --yml-path .azure-pipelines/{name}.yml --skip-first-run"
        reason = "It does not exist: a file alone runs nothing."
        yield Line(about=about, state=State.PROBLEM, reason=reason, remedy=command)


def judge_azure_environment(name: str, told: Told, web: str) -> Iterator[Line]:
    """Whether it exists; a pipeline that names another one fails."""
    about, page = f"environment {name}", f"{web}/_environments"
    if isinstance(told, Unanswered):
        yield unseen(about, told, page)
    elif told is None:
        reason = "It does not exist, and a pipeline that names it fails."
        yield Line(about=about, state=State.PROBLEM, reason=reason, remedy=f"Make it: {page}")
    else:
        yield ok(about, "It exists.")


def judge_azure_approval(name: str, told: Told, wanted: Wanted, web: str) -> Iterator[Line]:
    """Whether its checks ask somebody before a promotion."""
    about, page = f"approval of {name}", f"{web}/_environments"
    if isinstance(told, Unanswered) or told is None:
        yield unseen(about, told or Unanswered("Azure DevOps has no answer."), page)
        return
    checks = [c for c in told.items("value") if not ((off := c.maybe("isDisabled")) and off.flag())]
    asking = next((c for c in checks if c.text("type", "id").casefold() == APPROVAL_CHECK), None)
    if asking is None or not asking.items("settings", "approvers"):
        reason = "It has no approval check: a promotion waits for nobody, and is recorded as unprotected."
        yield Line(
            about=about, state=wanted.serious, reason=reason, remedy=f"Add one under Approvals and checks: {page}"
        )
        return
    approvers = len(asking.items("settings", "approvers"))
    needed = asking.maybe("settings", "minRequiredApprovers")
    number = (needed.number() if needed else 0) or approvers
    yield ok(about, f"A promotion waits for {number} of {approvers} approvers.")
    if number < wanted.approvals:
        reason = f"The policy wants {wanted.approvals} approvals, and the check goes on after {number}."
        yield Line(about=about, state=State.PROBLEM, reason=reason, remedy=f"Raise the minimum of approvers: {page}")
    own = asking.maybe("settings", "requesterCannotBeApprover")
    if own is None or not own.flag():
        reason = "Azure DevOps lets people approve what they requested; Gatehouse refuses it then."
        yield Line(about=about, state=State.WARNING, reason=reason, remedy=f"Forbid it in the check: {page}")


def judge_azure_lock(name: str, told: Told, web: str) -> Iterator[Line]:
    """Whether runs that write one state wait for each other."""
    about, page = f"lock of {name}", f"{web}/_environments"
    if isinstance(told, Unanswered) or told is None:
        yield unseen(about, told or Unanswered("Azure DevOps has no answer."), page)
    elif any(_LOCK in check.maybe_text("type", "name").replace(" ", "").casefold() for check in told.items("value")):
        yield ok(about, "Runs wait for each other.")
    else:
        reason = "Two runs at once are possible; the later one loses its work when it moves the state."
        yield Line(about=about, state=State.WARNING, reason=reason, remedy=f"Add an exclusive lock: {page}")


def judge_azure_policy(told: Told, wanted: Wanted, web: str) -> Iterator[Line]:
    """Whether a pull request is tested: on Azure Repos a `pr:` in a file does nothing, a branch policy does."""
    about, page = f"branch {wanted.branch}", f"{web}/_settings/repositories"
    if isinstance(told, Unanswered) or told is None:
        yield unseen(about, told or Unanswered("Azure DevOps has no answer."), page)
        return
    if any(_validates(policy, wanted.branch) for policy in told.items("value")):
        yield ok(about, "A pull request into it has to pass the build validation.")
    else:
        reason = "It has no build validation that blocks: pull requests are not tested, and `pr:` in YAML is ignored."
        yield Line(about=about, state=State.PROBLEM, reason=reason, remedy=f"Add a build-validation policy: {page}")


def _validates(policy: Answer, branch: str) -> bool:
    on = policy.flag("isEnabled") and policy.flag("isBlocking")
    if not on or policy.text("type", "id").casefold() != BUILD_VALIDATION:
        return False
    scopes = policy.maybe("settings", "scope")
    places = [scope.maybe_text("refName") for scope in scopes.items()] if scopes else []
    return f"refs/heads/{branch}" in places
