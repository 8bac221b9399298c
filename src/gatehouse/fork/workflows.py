"""CI files of a second use case: copies of those that are there, which read another conf/ and start for fewer files.

Line by line and not through a YAML library: comments stay, and nothing but the standard library is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gatehouse.fork.files import File, Files
from gatehouse.fork.names import Name

_GITHUB, _AZURE = ".github/workflows/", ".azure-pipelines/"
_COMMAND = re.compile(r"^\s*(?:- )?(?:run|bash): (?:exec )?gatehouse ", re.MULTILINE)


def for_second(files: Files, name: Name, conf: str) -> dict[str, File]:
    """A copy of each workflow and pipeline that runs a command on a use case, itself or through another."""
    made = {}
    for path, file in files.items():
        folder, _, filename = path.rpartition("/")
        edit = {_GITHUB: _github, _AZURE: _azure}.get(f"{folder}/")
        text = file.text
        if edit and text is not None and filename.endswith(".yml") and _works(path, files):
            copy = f"{folder}/{filename.removesuffix('.yml')}-{name.distribution}.yml"
            made[copy] = file.written(edit(text, name, conf, files))
    return made


def _works(path: str, files: Files) -> bool:
    """Whether a file runs one of our commands, also in a workflow or template of the repository that it names."""
    file = files.get(path)
    text = (file.text if file else None) or ""
    folder = path.rpartition("/")[0]
    named = [f".github/workflows/{found}" for found in re.findall(r"uses: \./\.github/workflows/(\S+)", text)]
    named += [f"{folder}/{found}" for found in re.findall(r"template: (\S+\.yml)", text)]
    return bool(_COMMAND.search(text)) or any(_works(other, files) for other in named)


def _concerning(name: Name, conf: str, own: str) -> list[str]:
    """Folders and files whose change concerns this use case."""
    project = conf.rpartition("/")[0]
    machinery = ["src/gatehouse/", "pyproject.toml", "uv.lock"]
    return [f"src/{name.package}/", f"{project}/", f"tests/unit/{name.package}/", *machinery, own]


def _github(text: str, name: Name, conf: str, files: Files) -> str:
    suffix = name.distribution
    text = re.sub(r"^name: ([\w-]+)", rf"name: \g<1>-{suffix}", text, count=1, flags=re.MULTILINE)
    text = re.sub(r"^(\s+group: .*?)(\s*#.*)?$", rf"\g<1>-{suffix}\g<2>", text, flags=re.MULTILINE)
    text = re.sub(
        r"(uses: \./)(\.github/workflows/\S+)\.yml",
        lambda found: f"{found[1]}{found[2]}-{suffix}.yml" if _works(f"{found[2]}.yml", files) else found[0],
        text,
    )
    text = _with_own_runs(text, name, conf)
    text = re.sub(
        r"^    name: ((?:release-)?pass)$", rf"    name: \g<1>-{suffix}", text, flags=re.MULTILINE
    )  # not the required check
    paths = [
        f"{place}**" if place.endswith("/") else place for place in _concerning(name, conf, f"{_GITHUB}*-{suffix}.yml")
    ]
    filters = "".join(f'      - "{path}"\n' for path in [*paths, ".github/actions/**"])
    text = re.sub(r"^(  pull_request:.*\n)", rf"\g<1>    paths:\n{filters}", text, flags=re.MULTILINE)
    text = _with_setting(text, "env", "jobs", conf)
    if re.search(r"^  pull_request:", text, re.MULTILINE):
        text = _only_jobs(text, r"(?m)^(?=  [\w-]+:)", lambda job: bool(_COMMAND.search(job)) or "  pass:" in job)
        text = _with_known_needs(text)
    return text


def _azure(text: str, name: Name, conf: str, _: Files) -> str:
    suffix = name.distribution
    text = re.sub(r"^name: ([\w-]+)-\$", rf"name: \g<1>-{suffix}-$", text, count=1, flags=re.MULTILINE)
    text = _with_own_runs(text, name, conf)
    places = [place.rstrip("/") for place in _concerning(name, conf, _AZURE.rstrip("/"))]
    filters = "  paths:\n    include:\n" + "".join(f'      - "{place}"\n' for place in places)
    text = re.sub(r"^(pr:\n(?:  .*\n)+)", rf"\g<1>{filters}", text, flags=re.MULTILINE)
    begins = "stages" if re.search(r"^stages:", text, re.MULTILINE) else "jobs"
    text = _with_setting(text, "variables", begins, conf)
    if re.search(r"^pr:\n", text, re.MULTILINE):
        text = _only_jobs(text, r"(?m)^(?=  - (?:job|deployment|template):)", lambda job: bool(_COMMAND.search(job)))
    return text


def _with_own_runs(text: str, name: Name, conf: str) -> str:
    """Other tags for other releases, runs of its own asked for, and what is written beside conf/ found there."""
    text = re.sub(r"(gatehouse tested --env (\w+))", rf"\g<1> --workflow \g<2>-{name.distribution}", text)
    text = re.sub(r"(gatehouse cut-release )(?=\S)", rf"\g<1>--start release-{name.distribution} ", text)
    text = re.sub(r'"v\*"', f'"{name.distribution}/v*"', text)
    text = text.replace('--schema "pr_', f'--schema "pr_{name.package}_')  # two use cases may share a catalog
    return re.sub(r"(?<![\w/.])\.lakehouse/", f"{conf.rpartition('/')[0]}/.lakehouse/", text)


def _with_setting(text: str, section: str, before: str, conf: str) -> str:
    """`GATEHOUSE_CONF` for every job, in the section that is there or in one of its own."""
    line = f"  GATEHOUSE_CONF: {conf}\n"
    if re.search(rf"^{section}:\n  - ", text, re.MULTILINE):  # Azure's, where templates stand among them
        line = f"  - name: GATEHOUSE_CONF\n    value: {conf}\n"
    if re.search(rf"^{section}:\n", text, re.MULTILINE):
        return re.sub(rf"^{section}:\n", f"{section}:\n{line}", text, flags=re.MULTILINE)
    return re.sub(rf"^{before}:", f"{section}:\n{line}\n{before}:", text, count=1, flags=re.MULTILINE)


def _only_jobs(text: str, begins: str, wanted: Callable[[str], bool]) -> str:
    """Without the jobs that do not know the use case: they run for the whole repository already."""
    head, mark, jobs = text.partition("\njobs:\n")
    first, *rest = re.split(begins, jobs)
    return head + mark + first + "".join(job for job in rest if wanted(job)).rstrip("\n") + "\n"


def _with_known_needs(text: str) -> str:
    jobs = set(re.findall(r"^  ([\w-]+):", text.partition("\njobs:\n")[2], re.MULTILINE))

    def known(found: re.Match[str]) -> str:
        return f"{found[1]}[{', '.join(job for job in found[2].split(', ') if job in jobs)}]"

    return re.sub(r"^(    needs: )\[(.*)\]", known, text, flags=re.MULTILINE)
