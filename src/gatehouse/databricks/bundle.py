"""The bundle, deployed by the Databricks command line: `databricks bundle deploy -t ENV`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from gatehouse.errors import PlatformError
from gatehouse.progress import Progress

VARIABLE = "GATEHOUSE_DATABRICKS_CLI"
"""Names the command line where it is not on the path."""
_PRINCIPAL = "BUNDLE_VAR_service_principal"
"""Who the jobs run as. Azure's agents write names of variables in capitals, so a workflow cannot set it there."""
_LINES = 20


def deploy_bundle(root: Path, target: str, progress: Progress, *, any_branch: bool = False) -> None:
    """Deploy the bundle of the checkout at `root` to a target, as the identity of the process's variables.

    `any_branch`: also where the target names another branch, as for an older commit that is to be live again.

    Raises:
        PlatformError: the command line is not there, or ended otherwise than well; the last lines that it wrote.
    """
    with progress.step(f"databricks bundle deploy -t {target}"):
        code, said = run_cli(root, "bundle", "deploy", "-t", target, *(["--force"] if any_branch else []))
    if code != 0:
        raise PlatformError(
            f"databricks bundle deploy -t {target} ended with {code}:\n{said}",
            why="What is deployed may be a part of this code only; nothing was entered as live.",
            remedy=f"databricks bundle validate --strict -t {target}    says more; then run the same command again.",
        )
    progress.note(said)


def run_cli(root: Path, *arguments: str) -> tuple[int, str]:
    """The Databricks command line in a checkout, as the identity of the process's variables: exit code, last lines.

    Raises:
        PlatformError: it is not there.
    """
    cli = os.environ.get(VARIABLE) or shutil.which("databricks")
    if cli is None:
        raise PlatformError(
            "The Databricks command line is not on the path.",
            why="It deploys the bundle: jobs, schemas, dashboard, alerts.",
            remedy="brew install databricks/tap/databricks, or the action databricks/setup-cli in a workflow.",
        )
    environ = dict(os.environ)
    if _PRINCIPAL not in environ and environ.get("DATABRICKS_CLIENT_ID"):  # who deploys runs the jobs
        environ[_PRINCIPAL] = environ["DATABRICKS_CLIENT_ID"]
    done = subprocess.run(  # noqa: S603 - our own argument lists, without a shell
        [cli, *arguments],
        cwd=root,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, "\n".join(done.stdout.strip().splitlines()[-_LINES:])
