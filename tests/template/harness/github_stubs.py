"""Third-party actions as folders that act can use in their place, and programs that a hosted machine has."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.template.harness import NotUnderstood
from tests.template.harness.yaml_files import dump

PROGRAM = Path(__file__).with_name("stub_program.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stub:
    """An action. `verb` of the stub program, or nothing to do."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    """Name and default."""
    outputs: tuple[str, ...] = ()
    verb: str = ""


STUBS: dict[str, Stub] = {
    "actions/upload-artifact": Stub(
        inputs={
            "name": "artifact",
            "path": "",
            "if-no-files-found": "warn",
            "retention-days": "0",
            "overwrite": "false",
            "include-hidden-files": "false",
            "compression-level": "6",
        },
        outputs=("artifact-id", "artifact-digest", "artifact-url"),
        verb="upload",
    ),
    "actions/download-artifact": Stub(
        inputs={"name": "", "path": "", "run-id": "", "github-token": ""}, outputs=("download-path",), verb="download"
    ),
    "actions/cache": Stub(inputs={"path": "", "key": "", "restore-keys": ""}, outputs=("cache-hit",)),
    "actions/cache/restore": Stub(inputs={"path": "", "key": "", "restore-keys": ""}, outputs=("cache-hit",)),
    "actions/cache/save": Stub(inputs={"path": "", "key": ""}),
    "actions/attest": Stub(
        inputs={"subject-path": "", "predicate-type": "", "predicate-path": "", "show-summary": "true"}, verb="attest"
    ),
    "actions/setup-java": Stub(inputs={"distribution": "", "java-version": ""}),
    "actions/setup-python": Stub(inputs={"python-version": ""}, outputs=("python-path",)),
    "databricks/setup-cli": Stub(inputs={"version": ""}),
    "astral-sh/setup-uv": Stub(
        inputs={
            "version": "",
            "enable-cache": "auto",
            "cache-suffix": "",
            "prune-cache": "true",
            "python-version": "",
            "cache-dependency-glob": "",
            "save-cache": "true",
        },
        outputs=("uv-path",),
    ),
}
"""By the name that stands before the @. A cache never hits: it serves speed alone. What is not here is refused."""


def stub_of(uses: str) -> tuple[str, Stub]:
    """The stub for `owner/action@sha`, and its name."""
    name = uses.partition("@")[0]
    if name not in STUBS:
        raise NotUnderstood(f"the action {name}: no stub stands in for it")
    return name, STUBS[name]


def write_actions(folder: Path) -> None:
    """One folder per repository, `owner/action`, as act wants them."""
    for name, stub in STUBS.items():
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        environment = {f"INPUT_{key.upper().replace('-', '_')}": f"${{{{ inputs.{key} }}}}" for key in stub.inputs}
        command = f'"$HARNESS_PYTHON" -I "$HARNESS_PROGRAM" {stub.verb}' if stub.verb else "true"
        action = {
            "name": name,
            "description": "Stands in for the real one.",
            "inputs": {key: {"description": key, "default": default} for key, default in stub.inputs.items()},
            "outputs": {
                key: {"description": key, "value": f"${{{{ steps.stub.outputs.{key} }}}}"} for key in stub.outputs
            },
            "runs": {
                "using": "composite",
                "steps": [{"id": "stub", "shell": "bash", "env": environment, "run": command}],
            },
        }
        (place / "action.yml").write_text(dump(action), encoding="utf-8")


def write_programs(folder: Path, names: Iterable[str] = ("uv", "gh")) -> None:
    """Programs for the front of PATH that lead to the stub program."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{PROGRAM}" {name} "$@"\n', encoding="utf-8")
        program.chmod(0o755)


def write_recorder(folder: Path, name: str, log: Path, *, failing: str = "", beside: str = "") -> Path:
    """A program that writes down which job called it how, and fails with 7 at the call `failing`: `make lint`.

    `beside` is written behind each call, with the variables that it names: `as $WHO`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(
        f'#!/bin/sh\necho "${{GITHUB_JOB:-$SYSTEM_JOBNAME}}: {name} $*{beside}" >> "{log}"\n'
        f'[ "{name} $*" != "{failing}" ] || exit 7\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


def write_make(folder: Path, gatehouse: Path, *, recorder: Path | None = None) -> None:
    """A `make` whose `install` puts `gatehouse` into .venv/bin; everything else is the recorder's, if there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "make"
    rest = f'exec "{recorder}" "$@"' if recorder else 'echo "make $*: the harness does not know it" >&2; exit 2'
    program.write_text(
        f'#!/bin/sh\nif [ "$*" = install ]; then mkdir -p .venv/bin; ln -sf "{gatehouse}" .venv/bin/; fi\n'
        + ("" if recorder else '[ "$*" != install ] || exit 0\n')
        + f"{rest}\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
