"""Who judges new versions under `driver: registry`: on a laptop a listener, in a workspace the deployment job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gatehouse.errors import Refused, StateError

if TYPE_CHECKING:
    from gatehouse.cli.world import Place
    from gatehouse.pipelines.context import Context
    from gatehouse.pipelines.judging import TagRights
    from gatehouse.settings import Environment


class Judge(Protocol):
    """Whoever the registry tells of a new version."""

    def heard(self, context: Context) -> Context:
        """The same context, in which registering a version is noticed by the judge."""

    def ask(self, model: str, version: str) -> None:
        """Have a version judged, or its approval looked at, that was registered before."""

    def failed(self, version: str) -> str | None:
        """What went wrong, if it is known that no decision record will come."""

    def rights(self) -> TagRights:
        """Who may approve by setting tags; Refused where that is anybody, and matters."""

    def told_by_the_registry(self, where: Place) -> str | None:
        """Whom the registry tells of each new version by itself, in words; None: nobody."""

    def commands(self) -> tuple[str, str]:
        """What has the registry tell the judge, and what has it tell nobody."""

    def goes_on(self) -> str:
        """How an approved version becomes the champion."""

    def remedy(self) -> str:
        """What to do when nobody judges."""


def judge_of(where: Place, env: str) -> Judge:
    """The judge of an environment's platform."""
    environment = where.settings.environment(env)
    if environment.platform == "databricks":
        return DeploymentJob(env=env)
    return Listener(folder=listening_folder(where.root, environment), env=env)


def listening_folder(root: Path, environment: Environment) -> Path:
    """Where a listener keeps its queue, its keys and the address of its server. No archive of the state takes it."""
    return root / "listen" / f"{environment.catalog}.{environment.db_schema}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Listener:
    """`gatehouse listen`: versions are registered through its MLflow server, which delivers webhooks to it."""

    folder: Path
    env: str

    def heard(self, context: Context) -> Context:
        """See Judge. Without a server the version is registered all the same, and the next listener finds it."""
        from gatehouse.lakehouse.registry_mlflow import MlflowRegistry
        from gatehouse.listening.server import server_in

        server = server_in(self.folder)
        if server is None:
            context.progress.note(f"Nobody listens: the version waits for gatehouse listen --env {self.env}")
            return context
        tracking = context.tracking.tracking_uri
        mine = [(context.environment.catalog, context.environment.db_schema)]
        registry = MlflowRegistry(tracking, server, root=context.root, writable=mine)
        return replace(context, open_registry=lambda: registry)

    def ask(self, model: str, version: str) -> None:  # noqa: ARG002 - the queue is one model's
        """See Judge."""
        from gatehouse.listening.queue import Queue

        Queue(self.folder).ask(version)

    def failed(self, version: str) -> str | None:
        """See Judge."""
        from gatehouse.listening.queue import Queue, State

        found = Queue(self.folder).find(version)
        return found.note if found and found.state is State.FAILED else None

    def rights(self) -> TagRights:
        """See Judge: everybody's."""
        from gatehouse.lakehouse.registry_rules import APPROVAL_TAG
        from gatehouse.pipelines.judging import TagRights

        said = f"the tag `{APPROVAL_TAG}`, which anybody may set who may write this lakehouse"
        return TagRights(protected=False, established_by=said, runs_as=())

    def told_by_the_registry(self, where: Place) -> str | None:
        """See Judge."""
        from gatehouse.lakehouse.webhooks import registered_webhook

        environment = where.settings.environment(self.env)
        url = registered_webhook(where.root, (environment.catalog, environment.db_schema))
        return f"the webhook to {url}" if url else None

    def commands(self) -> tuple[str, str]:
        """See Judge."""
        return f"gatehouse listen --env {self.env}", f"gatehouse listen --env {self.env} --remove"

    def goes_on(self) -> str:
        """See Judge."""
        return f"gatehouse listen --env {self.env} does it, if it is running"

    def remedy(self) -> str:
        """See Judge."""
        return f"gatehouse listen --env {self.env}    (what it says, or --once)"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeploymentJob:
    """MLflow's deployment job: linked to the model, Unity Catalog starts it on each new version."""

    env: str

    def heard(self, context: Context) -> Context:
        """See Judge; StateError if no job is linked, for then nobody would ever judge."""
        self._linked(context.model)
        return context

    def ask(self, model: str, version: str) -> None:
        """See Judge. Queued behind a run that is under way."""
        from gatehouse.databricks.client import open_workspace

        workspace, job_id = open_workspace(), int(self._linked(model))
        parameters = {"model_name": model, "model_version": version}
        workspace.ask(
            f"starting the deployment job for version {version}",
            lambda: workspace.sdk.jobs.run_now(job_id, job_parameters=parameters).run_id,
            again=False,
        )

    def failed(self, version: str) -> str | None:  # noqa: ARG002
        """See Judge. A run that failed may be repaired, so it is not the end."""
        return None

    def rights(self) -> TagRights:
        """See Judge: those whom the governed tags' ASSIGN permission names."""
        from gatehouse.databricks.client import open_workspace
        from gatehouse.databricks.governed_tags import tag_policies
        from gatehouse.lakehouse.registry_rules import APPROVAL_TAG, APPROVAL_TAGS
        from gatehouse.pipelines.judging import TagRights

        found = tag_policies(open_workspace(), APPROVAL_TAGS)
        if found.ungoverned:
            raise Refused(
                f"The tag {found.ungoverned[0]} is not governed: whoever may tag the model may set it.",
                why="Whoever can train a version could approve it, in anybody's name.",
                remedy="gatehouse setup --part metastore    makes it governed, and lets the approvers alone assign it "
                f"(by hand: databricks tag-policies create-tag-policy {found.ungoverned[0]})",
            )
        said = (
            f"the governed tag `{APPROVAL_TAG}`, which only those can set whom its ASSIGN permission names; "
            "which of them it was is what the tag says"
        )
        return TagRights(protected=True, established_by=said, runs_as=found.runs_as)

    def told_by_the_registry(self, where: Place) -> str | None:
        """See Judge."""
        from gatehouse.cli.world import load_project
        from gatehouse.lakehouse.deployment_link import linked_job

        environment = where.settings.environment(self.env)
        project = load_project(where.settings).name
        job = linked_job(f"{environment.catalog}.{environment.db_schema}.{project}")
        return f"deployment job {job}" if job else None

    def commands(self) -> tuple[str, str]:
        """See Judge."""
        return f"gatehouse deployment-job link --env {self.env}", f"gatehouse deployment-job unlink --env {self.env}"

    def goes_on(self) -> str:
        """See Judge."""
        return "repair the failed run of the deployment job, or start it again for this version"

    def remedy(self) -> str:
        """See Judge."""
        return f"Look at the runs of the deployment job: gatehouse preflight names it for {self.env}"

    def _linked(self, model: str) -> str:
        from gatehouse.lakehouse.deployment_link import linked_job

        job = linked_job(model)
        if job is None:
            raise StateError(
                f"No deployment job is linked to {model}.",
                why=f"In {self.env} the registry's job judges (driver: registry), so nobody would.",
                remedy=f"gatehouse deployment-job link --env {self.env}",
            )
        return job
