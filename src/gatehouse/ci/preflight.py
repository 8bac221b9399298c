"""What stands between a checkout and a release that works, line by line. Pure: answers in, lines out.

An answer is what the provider said, None where it has no such thing, or the Unanswered it gave instead: a line then
says "unknown", for not being allowed to see a setting says nothing about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gatehouse.ci.answer import Answer
from gatehouse.errors import Unanswered

Told = Answer | None | Unanswered


class State(StrEnum):
    """How a line turned out."""

    OK = "ok"
    WARNING = "warning"  # a release works, and is less safe than it could be
    PROBLEM = "problem"  # a release does not work, or anybody could make one
    UNKNOWN = "unknown"  # this token may not see it


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One thing that was looked at. `remedy` is the command or page that mends it; empty where nothing is to mend."""

    about: str
    state: State
    reason: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What the project needs of a provider."""

    environments: tuple[str, ...]
    """Identities: environments of conf/ that workflows run in."""
    guarded: tuple[str, ...]
    """Those of them that only a release, a tag or a schedule may reach."""
    approval: tuple[str, ...]
    """Environments whose reviewers approve a promotion: `prod-approval`."""
    real: bool
    """Whether they lead to a workspace: then nobody being asked is a problem, and not only a warning."""
    approvals: int
    """How many people have to approve."""
    branch: str
    """The branch that is tested in staging."""
    workflows: tuple[str, ...]
    """Names of the workflow files, without folder and ending."""

    @property
    def serious(self) -> State:
        """What an open gate amounts to."""
        return State.PROBLEM if self.real else State.WARNING


def ok(about: str, reason: str) -> Line:
    """Nothing to do."""
    return Line(about=about, state=State.OK, reason=reason)


def unseen(about: str, told: Unanswered, remedy: str) -> Line:
    """This token may not see it, or the provider does not answer."""
    return Line(about=about, state=State.UNKNOWN, reason=f"This token may not see it, or {told.what}", remedy=remedy)


def read(judge: Callable[[], Iterator[Line]], about: str, remedy: str) -> Iterator[Line]:
    """The lines of a judge; "unknown" where an answer turns out to be made in another way than it was read."""
    try:
        yield from list(judge())
    except Unanswered as error:
        yield unseen(about, error, remedy)


def judge_github_repository(told: Told, web: str) -> Iterator[Line]:
    """Whether it is there, who can see it, and what a fork or a private one has to know."""
    about = "repository"
    if isinstance(told, Unanswered):
        yield unseen(about, told, "export GH_TOKEN=$(gh auth token)")
        return
    if told is None:
        yield Line(
            about=about,
            state=State.PROBLEM,
            reason=f"{web} does not exist, or this token may not see it.",
            remedy="git push --set-upstream origin main    (or: export GH_TOKEN=$(gh auth token))",
        )
        return
    private = told.flag("private")
    yield ok(about, f"{web} is {'private' if private else 'public'}, its default branch {told.text('default_branch')}.")
    if (archived := told.maybe("archived")) and archived.flag():
        yield Line(about=about, state=State.PROBLEM, reason="It is archived.", remedy=f"Unarchive it: {web}/settings")
    if (fork := told.maybe("fork")) and fork.flag():
        yield Line(
            about="actions",
            state=State.WARNING,
            reason="It is a fork: GitHub switches its workflows off until the owner allows them, and its schedules.",
            remedy=f"Allow them: {web}/actions    (or start over with `Use this template`)",
        )
    if private:
        yield Line(
            about="plan",
            state=State.WARNING,
            reason="It is private: only GitHub Enterprise enforces required reviewers there, others ask nobody.",
            remedy="Be on Enterprise, or approve by merging: name accounts for /decisions/ in CODEOWNERS.",
        )


def judge_github_workflows(told: Told, wanted: Wanted, web: str) -> Iterator[Line]:
    """Whether GitHub knows each workflow of the checkout, and runs it."""
    if isinstance(told, Unanswered) or told is None:
        yield unseen("workflows", told or Unanswered("GitHub has no answer."), f"{web}/actions")
        return
    states = {w.text("path").rpartition("/")[2].rpartition(".")[0]: w.text("state") for w in told.items("workflows")}
    for name in wanted.workflows:
        about = f"workflow {name}"
        state = states.get(name)
        if state is None:
            reason = "GitHub does not know it: it is not on the default branch yet."
            yield Line(about=about, state=State.PROBLEM, reason=reason, remedy=f"git push origin {wanted.branch}")
        elif state != "active":
            reason = f"It is switched off ({state})."
            yield Line(about=about, state=State.PROBLEM, reason=reason, remedy=f"gh workflow enable {name}.yml")
        else:
            yield ok(about, "It is active.")


def judge_github_approval(
    name: str, told: Told, wanted: Wanted, web: str, owners: tuple[str, ...] = ()
) -> Iterator[Line]:
    """Whether somebody is asked before a promotion, and whether that can be gone past.

    `owners` are those whom CODEOWNERS names for decisions/: without required reviewers, they are asked to merge.
    """
    about, page = f"environment {name}", f"{web}/settings/environments"
    if isinstance(told, Unanswered):
        yield unseen(about, told, page)
        return
    if told is None:
        reason = "It does not exist: the first run makes it, and asks nobody."
        yield Line(about=about, state=wanted.serious, reason=reason, remedy=f"Make it, with required reviewers: {page}")
        return
    rule = next((r for r in told.items("protection_rules") if r.text("type") == "required_reviewers"), None)
    if rule is None or not rule.items("reviewers"):
        yield _without_reviewers(about, owners, wanted, page)
        return
    yield ok(about, f"A promotion waits for one of {len(rule.items('reviewers'))} required reviewers.")
    if wanted.approvals > 1:
        yield Line(
            about=about,
            state=State.PROBLEM,
            reason=f"The policy wants {wanted.approvals} approvals, and GitHub goes on after the first.",
            remedy="approval.number: 1 in conf/promotion.yml, or have the others run gatehouse approve by name.",
        )
    bypass = told.maybe("can_admins_bypass")
    if bypass is None or bypass.flag():
        reason = "Administrators may start the waiting job past the rule; Gatehouse refuses it then."
        yield Line(about=about, state=State.WARNING, reason=reason, remedy=f"Forbid the bypass: {page}")
    own = rule.maybe("prevent_self_review")
    if own is None or not own.flag():
        reason = "GitHub lets people review what they started; Gatehouse refuses it then."
        yield Line(about=about, state=State.WARNING, reason=reason, remedy=f"Prevent self-review: {page}")


def _without_reviewers(about: str, owners: tuple[str, ...], wanted: Wanted, page: str) -> Line:
    accounts = [owner for owner in owners if "/" not in owner]
    if accounts:
        said = f"It has no required reviewers: a promotion waits until one of {', '.join(accounts)} merges its record."
        return ok(about, said)
    if owners:
        reason = f"No run can see who is in {', '.join(owners)}, so nobody who merges a record is known to be an owner."
        remedy = "Name accounts for /decisions/ in CODEOWNERS."
        return Line(about=about, state=State.PROBLEM, reason=reason, remedy=remedy)
    reason = "It has no required reviewers: a promotion waits for nobody, and is recorded as unprotected."
    remedy = f"Add required reviewers: {page}    (or approve by merging: `/decisions/ @account` in CODEOWNERS)"
    return Line(about=about, state=wanted.serious, reason=reason, remedy=remedy)


def judge_github_asking(told: Told, repository: str) -> Iterator[Line]:
    """Whether a run may open the pull request that asks for a merge."""
    about = "asking by pull request"
    remedy = f"gh api -X PUT repos/{repository}/actions/permissions/workflow -F can_approve_pull_request_reviews=true"
    if isinstance(told, Unanswered) or told is None:
        yield unseen(about, told or Unanswered("GitHub has no answer."), remedy)
    elif told.flag("can_approve_pull_request_reviews"):
        yield ok(about, "Runs may open pull requests, and open one for each record that waits.")
    else:
        reason = "Runs may not open pull requests: they push the record's branch, and somebody has to open it."
        yield Line(about=about, state=State.WARNING, reason=reason, remedy=remedy)


def judge_github_branches(name: str, told: Told, policies: Told, wanted: Wanted, web: str) -> Iterator[Line]:
    """From which branches and tags the environment, and so its identity, can be reached."""
    about, page = f"branches of {name}", f"{web}/settings/environments"
    guarded = name in (*wanted.guarded, *wanted.approval)
    if isinstance(told, Unanswered):
        yield unseen(about, told, page)
        return
    limit = None if told is None else told.maybe("deployment_branch_policy")
    if limit is None:
        state, reason = wanted.serious if guarded else State.WARNING, f"A workflow of any branch can run in {name}."
        yield Line(about=about, state=state, reason=reason, remedy=f"Choose selected branches and tags: {page}")
        return
    if not limit.flag("custom_branch_policies"):
        yield ok(about, "Only protected branches reach it.")
        return
    if isinstance(policies, Unanswered) or policies is None:
        yield unseen(about, policies or Unanswered("GitHub has no answer."), page)
        return
    found = [(p.maybe_text("type") or "branch", p.text("name")) for p in policies.items("branch_policies")]
    needed = [("branch", wanted.branch), *([("branch", "release/*"), ("tag", "v*")] if guarded else [])]
    if missing := [f"{kind} {pattern}" for kind, pattern in needed if (kind, pattern) not in found]:
        reason = f"It does not take {', '.join(missing)}, from where its runs come."
        yield Line(about=about, state=State.PROBLEM, reason=reason, remedy=f"Add them: {page}")
    else:
        yield ok(about, f"It takes {', '.join(f'{kind} {pattern}' for kind, pattern in found)}, and no other.")


def judge_github_rules(told: Told, branch: Told, wanted: Wanted, web: str) -> Iterator[Line]:
    """Whether the branch takes only what was reviewed and is green. `branch` is asked for older, classic protection."""
    about, page = f"branch {wanted.branch}", f"{web}/settings/rules"
    if isinstance(told, Unanswered) or told is None:
        yield unseen(about, told or Unanswered("GitHub has no answer."), page)
        return
    rules: Mapping[str, Answer] = {rule.text("type"): rule for rule in told.items()}
    if not rules and isinstance(branch, Answer) and (known := branch.maybe("protected")) and known.flag():
        reason = "It is protected in the classic way, of which this token may not see what it demands."
        yield Line(about=about, state=State.UNKNOWN, reason=reason, remedy=f"{web}/settings/branches")
        return
    if "pull_request" in rules:
        yield ok(about, "Changes come by pull request.")
    else:
        reason = "Whoever may write can push to it without a review."
        yield Line(about=about, state=wanted.serious, reason=reason, remedy=f"Require a pull request: {page}")
    checks = rules.get("required_status_checks")
    named = checks.items("parameters", "required_status_checks") if checks else ()
    if "pass" in {check.text("context") for check in named}:
        yield ok(about, "The check `pass` must be green.")
    else:
        reason = "Nothing demands that the check `pass` is green."
        yield Line(about=about, state=wanted.serious, reason=reason, remedy=f"Require the status check `pass`: {page}")


def judge_github_releases(told: Told, wanted: Wanted, web: str) -> Iterator[Line]:
    """Who may make a release branch: what runs there is what was pushed there, as the identity of production."""
    about, page = "branches release/*", f"{web}/settings/rules"
    if isinstance(told, Unanswered) or told is None:
        yield unseen(about, told or Unanswered("GitHub has no answer."), page)
    elif {rule.text("type") for rule in told.items()} & {"creation", "update", "pull_request"}:
        yield ok(about, "Not everybody who may write can make them.")
    else:
        reason = (
            f"Whoever may write can push one, with workflows of their own, which run in {', '.join(wanted.guarded)}."
        )
        remedy = f"Restrict who creates release/** and the tags v*, and let GitHub Actions bypass it: {page}"
        yield Line(about=about, state=State.WARNING, reason=reason, remedy=remedy)


def judge_github_default(repository: Answer, wanted: Wanted, web: str) -> Iterator[Line]:
    """Schedules run on the default branch, whatever else is configured."""
    about, branch = "default branch", repository.text("default_branch")
    if branch == wanted.branch:
        yield ok(about, f"It is {branch}, which staging tests.")
    else:
        reason = (
            f"It is {branch}: monitoring and retraining begin there on schedule, and environments take {wanted.branch}."
        )
        yield Line(about=about, state=State.WARNING, reason=reason, remedy=f"Make it {wanted.branch}: {web}/settings")


def judge_schedule(told: Told, page: str) -> Iterator[Line]:
    """Whether schedules do anything: the variable GATEHOUSE_SCHEDULE."""
    about = "variable GATEHOUSE_SCHEDULE"
    if isinstance(told, Unanswered):
        yield unseen(about, told, page)
    elif told is None or not told.maybe_text("value"):
        yield ok(about, "It is not set: monitoring and retraining run by hand only.")
    else:
        yield ok(about, "It is set: monitoring and retraining run on schedule.")


def judge_github_subject(told: Told, wanted: Wanted, repository: str) -> Iterator[Line]:
    """Which subject a federation policy has to name; nothing where no workspace is reached."""
    about = "identity"
    if not wanted.real:
        yield ok(about, "None is needed: every environment lives in the runner's own lakehouse.")
        return
    remedy = f"gh api repos/{repository}/actions/oidc/customization/sub"
    if isinstance(told, Unanswered) or told is None:
        yield unseen(about, told or Unanswered("GitHub has no answer."), remedy)
        return
    prefix, default = told.maybe_text("sub_claim_prefix"), told.maybe("use_default")
    if not prefix or (default is not None and not default.flag()):
        reason = (
            "GitHub does not say which subject it signs, or its claims were chosen by hand: nobody can tell it here."
        )
        yield Line(about=about, state=State.UNKNOWN, reason=reason, remedy=remedy)
        return
    subjects = ", ".join(f"{prefix}:environment:{name}" for name in (*wanted.environments, *wanted.approval))
    yield ok(about, f"The federation policies of the service principals have to name exactly: {subjects}")
