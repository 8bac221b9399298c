"""Whether tags of Unity Catalog are governed: then only those may set them whom their ASSIGN permission names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gatehouse.databricks.client import Workspace
from gatehouse.errors import Unanswered


@dataclass(frozen=True, kw_only=True, slots=True)
class TagPolicies:
    """Which of the tags have no policy, so that whoever may tag may set them; and as whom this process runs."""

    ungoverned: tuple[str, ...]
    runs_as: tuple[str, ...]


def tag_policies(workspace: Workspace, tags: Collection[str]) -> TagPolicies:
    """Ask for the policies of some tags; Unanswered or AccessDenied where nobody says."""
    me = workspace.ask("reading who this is", workspace.sdk.current_user.me)
    missing = tuple(tag for tag in tags if not _governed(workspace, tag))
    names = dict.fromkeys(name for name in (me.user_name, me.display_name) if name)
    return TagPolicies(ungoverned=missing, runs_as=tuple(names))


def _governed(workspace: Workspace, tag: str) -> bool:
    try:
        workspace.ask(f"reading the policy of the tag {tag}", lambda: workspace.sdk.tag_policies.get_tag_policy(tag))
    except Unanswered as error:
        if error.status == 404:
            return False
        raise
    return True
