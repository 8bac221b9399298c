"""What runs in place of third parties inside a job: artefact actions, an environment's gate, `gh`, `uv`.

A program of its own, standard library only: jobs call it with `python -I stub_program.py VERB ...`. It speaks to the
loopback server at HARNESS_URL.
"""

from __future__ import annotations

import glob
import io
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

URL = os.environ.get("HARNESS_URL", "")
RUN = os.environ.get("HARNESS_RUN", "")


def ask(method: str, path: str, body: bytes | None = None, token: str = "") -> tuple[int, bytes]:
    """Status and body of what the loopback server answers."""
    request = urllib.request.Request(URL + path, data=body, method=method)  # noqa: S310 - loopback
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def demand(method: str, path: str, body: bytes | None = None, token: str = "") -> bytes:
    """The same, and the end of the program where the answer is no."""
    status, content = ask(method, path, body, token)
    if status >= 300:
        fail(f"{method} {path} answered {status}: {content.decode(errors='replace')[:400]}")
    return content


def fail(why: str) -> None:
    """As an action does."""
    print(f"::error::{why}", flush=True)  # noqa: T201
    sys.exit(1)


def output(**values: object) -> None:
    """Outputs of the step."""
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.writelines(f"{name.replace('_', '-')}={value}\n" for name, value in values.items())


def given(name: str) -> str:
    """An input of the action."""
    return os.environ["INPUT_" + name.upper().replace("-", "_")].strip()


def upload() -> None:
    """actions/upload-artifact: what hides behind a dot is left out, nothing found is said or refused."""
    files: list[Path] = []
    patterns = given("path").splitlines()
    for pattern in patterns:
        for found in glob.glob(pattern.strip(), recursive=True):  # noqa: PTH207 - patterns may be absolute
            path = Path(found)
            files += [inner for inner in path.rglob("*") if inner.is_file()] if path.is_dir() else [path]
    if given("include-hidden-files") != "true":
        files = [file for file in files if not any(part.startswith(".") for part in file.parts)]
    if not files:
        message = f"No files were found with the provided path: {patterns}. No artifacts will be uploaded."
        if given("if-no-files-found") == "error":
            fail(message)
        print(f"::warning::{message}")  # noqa: T201
        return
    single = Path(patterns[0]) if len(patterns) == 1 else None
    base = single if single and single.is_dir() else Path(os.path.commonpath([file.parent for file in files]))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(set(files)):
            archive.write(file, file.relative_to(base).as_posix())
    query = f"?overwrite={given('overwrite')}&retention={given('retention-days')}"
    made = json.loads(
        demand("POST", f"/_harness/runs/{RUN}/artifacts/{given('name')}{query}", packed.getvalue()),
    )
    digest = made["digest"].removeprefix("sha256:")
    output(artifact_id=made["id"], artifact_digest=digest, artifact_url=made["url"])


def download() -> None:
    """actions/download-artifact: of this run, or with run-id and a token of another."""
    run, token = given("run-id") or RUN, given("github-token")
    base = f"/repos/{os.environ['GITHUB_REPOSITORY']}/actions"
    if run != RUN and not token:
        fail("to download from another run, github-token is needed")
    if token:
        listed = demand("GET", f"{base}/runs/{run}/artifacts?per_page=100", token=token)
    else:
        listed = demand("GET", f"/_harness/runs/{run}/artifacts")
    artifacts = json.loads(listed)["artifacts"]
    wanted = [found for found in artifacts if given("name") in ("", found["name"])]
    if not wanted:
        fail(f"Unable to download artifact(s): Artifact not found for name: {given('name')}")
    for found in wanted:
        target = Path(given("path") or ".") / ("" if given("name") else found["name"])
        target.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(io.BytesIO(demand("GET", f"/blob/{found['id']}"))) as archive:
            archive.extractall(target)
    output(download_path=str(Path(given("path") or ".").resolve()))


def attest() -> None:
    """actions/attest: the subjects exist, and the job may attest."""
    subjects = [found for pattern in given("subject-path").splitlines() for found in glob.glob(pattern)]  # noqa: PTH207
    if not subjects:
        fail(f"no subject: {given('subject-path')}")
    demand("POST", f"/_harness/runs/{RUN}/attest/{os.environ['HARNESS_JOB']}", "\n".join(subjects).encode())


def gate(environment: str, job: str) -> None:
    """What GitHub does before a job that names an environment begins."""
    status, content = ask("POST", f"/_harness/runs/{RUN}/gate/{job}", environment.encode())
    if status >= 300:
        fail(content.decode())


def gh(arguments: list[str]) -> None:
    """`gh release create|upload|edit|view`, as far as it is used."""
    token = os.environ.get("GH_TOKEN") or os.environ.get("GITHUB_TOKEN") or ""
    if not token:
        fail("gh: To use GitHub CLI in a GitHub Actions workflow, set the GH_TOKEN environment variable.")
    if arguments[0] != "release" or arguments[1] not in ("create", "upload", "edit", "view"):
        demand("POST", f"/_harness/unknown/{'%20'.join(['gh', *arguments])}")
    body = json.dumps(
        {"arguments": arguments[1:], "files": {}} | {"ref": os.environ.get("GITHUB_REF", "")},
    ).encode()
    answer = json.loads(demand("POST", f"/repos/{os.environ['GITHUB_REPOSITORY']}/_gh_release", body, token))
    for name in answer.get("files", []):
        path = Path(name)
        if not path.is_file():
            fail(f"gh: no matches found for `{name}`")
        demand("POST", f"/_harness/releases/{answer['id']}/{path.name}", path.read_bytes())
    if "notes_file" in answer:
        demand("POST", f"/_harness/releases/{answer['id']}/_notes", Path(answer["notes_file"]).read_bytes())


def uv(arguments: list[str]) -> None:
    """`uv run [options] COMMAND ...` in the environment that is here; `uv sync` and `uv lock` change nothing."""
    verb, *rest = arguments
    if verb in ("sync", "lock", "--version"):
        return
    if verb != "run":
        fail(f"uv {verb}: the harness does not know it")
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("--group", "--no-group", "--extra", "--python"):
            rest.pop(0)
        elif option not in ("--locked", "--frozen", "--no-sync", "--no-dev", "--quiet", "-q", "--no-default-groups"):
            fail(f"uv run {option}: the harness does not know it")
    folder = Path(os.environ["HARNESS_PYTHON"]).parent
    local = folder / rest[0]
    environment = os.environ | {"PATH": f"{os.environ['PATH']}{os.pathsep}{folder}", "VIRTUAL_ENV": str(folder.parent)}
    sys.stdout.flush()
    if os.name == "nt":
        sys.exit(subprocess.run([str(local) if local.exists() else rest[0], *rest[1:]], check=False).returncode)
    os.execvpe(str(local) if local.exists() else rest[0], rest, environment)  # noqa: S606 - it becomes the command


VERBS = {"upload": upload, "download": download, "attest": attest}

if __name__ == "__main__":
    name, *others = sys.argv[1:]
    if name == "gate":
        gate(*others)
    elif name == "gh":
        gh(others)
    elif name == "uv":
        uv(others)
    else:
        VERBS[name]()
