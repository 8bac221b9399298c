"""The command line before any work begins: what it knows, what it refuses, how it ends, and that --help is quick."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from gatehouse import __version__
from gatehouse.cli import VERBS, main
from gatehouse.errors import PlatformError
from gatehouse.lakehouse import session
from gatehouse.lakehouse.mlflow_errors import translated
from gatehouse.settings import FILES, load

ROOT = Path(__file__).parents[3]
HEAVY = {
    "deltalake",
    "jinja2",
    "lightgbm",
    "matplotlib",
    "mlflow",
    "numpy",
    "optuna",
    "pandas",
    "pyarrow",
    "pydantic",
    "pysail",
    "pyspark",
    "requests",
    "rich",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "yaml",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said."""

    code: object
    out: str
    err: str


Gatehouse = Callable[..., Ended]


@pytest.fixture
def gatehouse(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gatehouse:
    """The command, in a copy of the shipped configuration and with a lakehouse folder of its own."""
    for variable in ("GATEHOUSE_CONF", "GATEHOUSE_LAKEHOUSE", "GATEHOUSE_ENV", "GATEHOUSE_AS_OF"):
        monkeypatch.delenv(variable, raising=False)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([*arguments])
        said = capsys.readouterr()
        return Ended(ended.value.code, said.out, said.err)

    return run


def test_help_loads_nothing_heavy() -> None:
    commands = [[], *([verb] for verb in VERBS)]
    program = (
        "import sys\n"
        "from gatehouse.cli import main\n"
        f"for command in {commands!r}:\n"
        "    try:\n"
        "        main([*command, '--help'])\n"
        "    except SystemExit as ended:\n"
        f"        print('loaded', ended.code, sorted({HEAVY!r} & set(sys.modules)))\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    told = done.stdout.splitlines()
    assert [t.split(" [")[0] for t in told if t.startswith("Usage: ")] == [
        " ".join(["Usage: gatehouse", *command]) for command in commands
    ]
    assert [t for t in told if t.startswith("loaded")] == ["loaded 0 []"] * len(commands)


def test_help_lists_every_verb_with_what_it_does(gatehouse: Gatehouse) -> None:
    ended = gatehouse("--help")

    words = " ".join(ended.out.split())
    assert ended.code == 0
    assert all(f"{verb} {' '.join(does.split())}" in words for verb, does in VERBS.items())


def test_the_version_is_told(gatehouse: Gatehouse) -> None:
    assert gatehouse("--version") == Ended(0, f"gatehouse, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("polish", "No such command 'polish'."),
        ("aprove 3", "No such command 'aprove'. Did you mean 'approve'?"),
        ("status --lakehouse x", "It stands before the command: gatehouse --lakehouse DIR COMMAND."),
        ("run", "Missing argument 'PIPELINE'"),
        ("run ingest", "Missing option '--env'"),
        ("run ingest --env prod --until 2013", "No such option"),
        ("run ingest features --env prod", "Got unexpected extra argument (features)"),
        ("run training --env prod --hold-out-days -1", "-1 is not in the range"),
        ("run training --env prod --hold-out-days many", "'many' is not a valid integer"),
        ("ui --port 0", "0 is not in the range"),
        ("status --json yes", "Got unexpected extra argument (yes)"),
    ],
)
def test_a_command_line_that_does_not_parse_ends_with_2(gatehouse: Gatehouse, arguments: str, said: str) -> None:
    ended = gatehouse(*arguments.split())

    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "Usage: gatehouse" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("run scoring --env prod", 2, "There is no pipeline 'scoring'."),
        ("run ingest --env prod --to a.csv", 2, "--to belongs to inference."),
        ("run ingest --env prod --hold-out-days 0", 2, "--hold-out-days belongs to training."),
        ("run inference --env prod --to a.xlsx", 2, "--to 'a.xlsx' is neither a .csv or .parquet file"),
        ("run ingest --env production", 3, "There is no environment 'production'."),
        ("run ingest --env prod --as-of yesterday", 3, "--as-of 'yesterday' is not a date."),
        ("run ingest --env prod --as-of 2013-02-30", 3, "--as-of '2013-02-30' is not a date."),
        ("clock --env production", 3, "There is no environment 'production'."),
        ("status --env production", 3, "There is no environment 'production'."),
        ("features --env production", 3, "There is no environment 'production'."),
        ("lineage predictions --env production", 3, "There is no environment 'production'."),
        ("explore flights --env production", 3, "There is no environment 'production'."),
        ("reset --env production --yes", 3, "There is no environment 'production'."),
        ("reset --env prod --yes", 10, "prod is protected, and reset would delete its tables and models for good."),
        ("schema options.json", 2, "There is no configuration file 'options.json'."),
        ("ui", 5, "There are no runs yet: "),
        ("demo --picture demo.png", 2, "--picture 'demo.png' does not end in .svg."),
        ("--conf nowhere status", 3, "nowhere.\nWhy it matters: --conf (or GATEHOUSE_CONF) names the folder"),
        ("replay nofile.json", 2, "There is no file nofile.json."),
        ("plan --margin 0", 2, "A margin of 0.0 cannot be planned for."),
        ("plan --margin -0.01", 2, "A margin of -0.01 cannot be planned for."),
        ("plan --margin nan", 2, "A margin of nan cannot be planned for."),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_code_of_its_class(
    gatehouse: Gatehouse, arguments: str, code: int, said: str
) -> None:
    ended = gatehouse(*arguments.split())

    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith("Error: ")
    assert said in ended.err
    assert "\nNext: " in ended.err
    assert not Path(".lakehouse").exists()


def test_a_record_that_cannot_be_read_ends_with_8(gatehouse: Gatehouse) -> None:
    Path("loop.json").symlink_to("loop.json")

    ended = gatehouse("replay", "loop.json")

    assert ended.code == 8
    assert "loop.json cannot be read: " in ended.err


def test_a_version_that_is_not_there_leads_to_the_status_of_its_environment(
    gatehouse: Gatehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def without_version(*_: object) -> Iterator[None]:
        raise translated(MlflowException("Model Version (version=2) not found", RESOURCE_DOES_NOT_EXIST), "reading it")
        yield

    monkeypatch.setattr("gatehouse.cli.world.open_world", without_version)

    for verb in ("why", "promote"):
        ended = gatehouse(verb, "2", "--env", "dev")

        assert ended.code == 5
        assert "Error: MLflow answered while reading it: Model Version (version=2) not found" in ended.err
        assert "Next: gatehouse status --env dev shows which versions there are." in ended.err


def test_without_the_engine_of_a_workspace_nobody_is_told_that_a_local_environment_lives_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "databricks.connect", None)
    for variable in ("DATABRICKS_RUNTIME_VERSION", "SPARK_REMOTE"):
        monkeypatch.delenv(variable, raising=False)

    with pytest.raises(PlatformError, match="not installed, and tables of a Databricks workspace are asked for"):
        session._start_databricks()


def test_outside_a_checkout_a_command_says_what_it_looked_for(gatehouse: Gatehouse) -> None:
    shutil.rmtree("conf")

    ended = gatehouse("status")

    assert (ended.code, ended.out) == (3, "")
    assert "No conf/environments.yml in " in ended.err


def test_a_broken_configuration_ends_with_3_and_names_the_file(gatehouse: Gatehouse) -> None:
    with Path("conf/training.yml").open("a", encoding="utf-8") as file:
        file.write("speed: 11\n")

    ended = gatehouse("run", "training", "--env", "dev", "--as-of", "2013-04-01")

    assert ended.code == 3
    assert "training.yml does not fit its schema: speed: Extra inputs are not permitted" in ended.err


@pytest.mark.parametrize(
    ("project", "said"),
    [
        ("no_such_package:PROJECT", "No module named 'no_such_package'"),
        ("flight_delays:NOTHING", "has no attribute 'NOTHING'"),
        ("flight_delays", "project 'flight_delays' in conf/environments.yml cannot be imported"),
        ("gatehouse:__version__", "gatehouse:__version__ is a str, not a gatehouse.project.Project"),
    ],
)
def test_a_project_that_is_none_ends_with_3(gatehouse: Gatehouse, project: str, said: str) -> None:
    environments = Path("conf/environments.yml")
    text = environments.read_text(encoding="utf-8")
    environments.write_text(text.replace("flight_delays:PROJECT", project), encoding="utf-8")

    ended = gatehouse("status")

    assert ended.code == 3
    assert said in ended.err
    assert not Path(".lakehouse").exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("PROJECT = Project(", "line 1: SyntaxError: '(' was never closed"),
        ("\nPROJECT = Progekt()", "line 2: NameError: name 'Progekt' is not defined."),
        (
            "from gatehouse.project import Project\nPROJECT = Project(\n    name='trams'\n)",
            "line 2: TypeError: Project.__init__() missing",
        ),
    ],
)
def test_a_mistake_in_the_use_case_is_named_with_its_line(gatehouse: Gatehouse, source: str, said: str) -> None:
    module = f"use_case_{abs(hash(source))}"  # Python imports a name once
    Path(f"{module}.py").write_text(source, encoding="utf-8")
    environments = Path("conf/environments.yml")
    text = environments.read_text(encoding="utf-8")
    environments.write_text(text.replace("flight_delays:PROJECT", f"{module}:PROJECT"), encoding="utf-8")

    ended = gatehouse("status")

    assert ended.code == 3
    assert f"{module}.py, {said}" in ended.err


@pytest.mark.parametrize("file", [*FILES, *(f"{stem}.yml" for stem in FILES)])
def test_the_schema_of_a_file_is_printed_as_json(gatehouse: Gatehouse, file: str) -> None:
    ended = gatehouse("schema", file)

    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == FILES[file.removesuffix(".yml")].model_json_schema()


def test_the_schemas_of_all_files_are_printed_as_one_json_document(gatehouse: Gatehouse) -> None:
    ended = gatehouse("schema")

    assert ended.code == 0
    assert set(FILES) <= set(json.loads(ended.out))


def test_a_question_answered_with_no_changes_nothing_and_ends_with_130(gatehouse: Gatehouse) -> None:
    # In a process of its own: a command that is stopped ends its process at once.
    done = subprocess.run(
        [sys.executable, "-m", "gatehouse", "reset", "--env", "dev"],
        input="n\n",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 130
    dev = load(ROOT / "conf").environment("dev")
    assert done.stdout == f"Delete every table and model of dev ({dev.catalog}.{dev.db_schema})? [y/N]: "
    assert done.stderr.startswith("\nStopped. ")
    assert not Path(".lakehouse").exists()
