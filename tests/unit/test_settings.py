"""Configuration is closed: what is not understood is refused, with the file, the key and the next command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from gatehouse import settings
from gatehouse.errors import ConfigurationError, StorageError
from gatehouse.settings import Environment, Settings, find_conf, load, parse_as_of

ROOT = Path(__file__).parents[2]
SHIPPED = [ROOT / "conf", ROOT / "examples" / "temperature" / "conf"]

Write = Callable[[str, str], Settings]

STORY = """\
first_release: 2013-05-01
monitored: 2013-07-01
challenged: 2013-08-01
broken_table: weather
leaked_column: delay
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A copy of the shipped configuration."""
    return Path(shutil.copytree(ROOT / "conf", tmp_path / "conf"))


@pytest.fixture
def with_file(conf: Path) -> Write:
    """Reads the shipped configuration with one file in other words."""

    def write(name: str, text: str) -> Settings:
        (conf / name).write_text(text, encoding="utf-8")
        return load(conf)

    return write


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.parent.name)
def test_what_is_shipped_is_understood(folder: Path) -> None:
    found = load(folder)

    assert found.root == folder.parent
    assert list(found.environments.environments) == ["dev", "staging", "prod"]
    assert found.environment("prod").protected
    assert found.environment("dev").sources_from == "prod"


def test_values_not_given_have_their_defaults(with_file: Write) -> None:
    found = with_file("environments.yml", "project: a:B\nenvironments:\n  only:\n    catalog: c\n")

    assert found.environment("only") == Environment(
        catalog="c",
        schema="main",
        platform="local",
        sources_from=None,
        data_fraction=1.0,
        history_days=None,
        search=False,
        max_trials=20,
        clock="now",
        protected=False,
    )


def test_nothing_can_be_changed_after_reading(conf: Path) -> None:
    found = load(conf)

    with pytest.raises(ValidationError, match="frozen"):
        found.training.seed = 7  # type: ignore[misc]


ONE = "project: a:B\nenvironments:\n  dev: {catalog: dev}\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("demo.yml", f"{STORY}colour: red\n", "colour: Extra inputs are not"),
        ("training.yml", "hold_out_days: 28\nvalidation_days: soon\n", "validation_days: Input should be a valid int"),
        ("training.yml", "hold_out_days: 28\n", "validation_days: Field required"),
        ("training.yml", "hold_out_days: 0\nvalidation_days: 1\n", "hold_out_days: Input should be greater than"),
        ("training.yml", "", "the file: Input should be a valid dictionary"),
        ("training.yml", "- hold_out_days\n", "the file: Input should be a valid dictionary"),
        ("options.yml", "candidates: []\n", "candidates: Tuple should have at least 1 item"),
        ("options.yml", "candidates: [{found_by: me, options: {depth: [3]}}]\n", "options.depth"),
        ("monitoring.yml", "drift_warning: 0.3\n", "drift_warning is above drift_alert"),
        ("demo.yml", STORY.replace("2013-07", "2013-05"), "must follow each other"),
        ("demo.yml", STORY.replace("2013-07-01", "soon"), "monitored: Input should be a valid date"),
        ("environments.yml", ONE + "  prod: {catalog: prod, data_fraction: 1.5}\n", "prod.data_fraction: Input should"),
        ("environments.yml", ONE + "  prod: {catalog: prod-eu}\n", "prod.catalog: String should match pattern"),
        ("environments.yml", ONE + "  prod: {catalog: prod, platform: laptop}\n", "prod.platform: Input should be"),
        ("environments.yml", ONE + "  prod: {schema: main}\n", "prod.catalog: Field required"),
        ("environments.yml", ONE + "  prod: {catalog: dev}\n", "two environments share one catalog and schema"),
        ("environments.yml", ONE + "  prod: {catalog: DEV}\n", "two environments share one catalog and schema"),
        ("environments.yml", ONE + "  prod: {catalog: p, sources_from: prod}\n", "prod.sources_from names 'prod'"),
        ("environments.yml", ONE + "  prod: {catalog: p, sources_from: test}\n", "prod.sources_from names 'test'"),
        (
            "environments.yml",
            ONE + "  prod: {catalog: p, source: mirror}\n",
            "`source: mirror` belongs to `sources_from`",
        ),
        (
            "environments.yml",
            ONE + "  q: {catalog: dev, schema: main_mirror}\n  r: {catalog: r, sources_from: dev, source: mirror}\n",
            "two environments share one catalog and schema",
        ),
        (
            "environments.yml",
            ONE + "  r: {catalog: r, sources_from: dev, source: mirror, platform: databricks}\n",
            "r reads a mirror of dev, which lives on another platform",
        ),
        ("environments.yml", "project: a:B\nenvironments: {}\n", "environments: Dictionary should have at least 1"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_key(with_file: Write, name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        with_file(name, text)

    assert f"{name} does not fit its schema: " in error.value.what
    assert said in error.value.what
    assert error.value.remedy == f"See `gatehouse schema {name.removesuffix('.yml')}` for what may stand there."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hold_out_days: [28\n", "expected ',' or ']'"),
        ("hold_out_days: 28\nhold_out_days: 7\nvalidation_days: 7\n", r"'hold_out_days' stands twice .* line 2"),
        ("hold_out_days: 2013-02-30\n", "day is out of range for month"),
    ],
)
def test_what_is_half_understood_is_refused(with_file: Write, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"training\.yml is not readable as YAML: .*{said}"):
        with_file("training.yml", text)


def test_a_file_in_another_encoding_is_refused(conf: Path) -> None:
    (conf / "training.yml").write_bytes("# für alle\nhold_out_days: 28\n".encode("latin-1"))

    with pytest.raises(ConfigurationError, match=r"training\.yml is not readable as YAML"):
        load(conf)


def test_a_folder_in_the_place_of_a_file_is_a_storage_error(conf: Path) -> None:
    (conf / "training.yml").unlink()
    (conf / "training.yml").mkdir()

    with pytest.raises(StorageError, match=r"training\.yml cannot be read: Is a directory"):
        load(conf)


@pytest.mark.parametrize("stem", settings.FILES)
def test_a_missing_file_is_named(conf: Path, stem: str) -> None:
    (conf / f"{stem}.yml").unlink()

    with pytest.raises(ConfigurationError, match=rf"{stem}\.yml is missing") as error:
        load(conf)

    assert f"`gatehouse schema {stem}`" in error.value.remedy


def test_an_unknown_environment_is_answered_with_those_there_are(conf: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no environment 'production'") as error:
        load(conf).environment("production")

    assert error.value.remedy == "Choose from: dev, staging, prod (conf/environments.yml)."


@pytest.mark.parametrize("stem", settings.FILES)
def test_a_schema_can_be_printed_and_is_closed(stem: str) -> None:
    schema = settings.FILES[stem].model_json_schema()

    objects = [schema, *schema.get("$defs", {}).values()]
    assert json.loads(json.dumps(schema)) == schema
    assert all(o["additionalProperties"] is False for o in objects if o["type"] == "object")
    shipped = yaml.safe_load((ROOT / "conf" / f"{stem}.yml").read_text(encoding="utf-8"))
    assert set(schema.get("required", ())) <= set(shipped) <= set(schema["properties"])


def test_the_configuration_folder_is_the_nearest_above(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEHOUSE_CONF", raising=False)
    below = conf.parent / "src" / "package"
    below.mkdir(parents=True)

    assert find_conf(below) == conf
    monkeypatch.setenv("GATEHOUSE_CONF", str(SHIPPED[1]))
    assert find_conf(below) == SHIPPED[1]


def test_outside_a_checkout_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEHOUSE_CONF", raising=False)

    with pytest.raises(ConfigurationError, match=r"No conf/environments\.yml in .* or above it"):
        find_conf(tmp_path)


def test_the_digest_follows_what_training_reads_and_nothing_else(conf: Path) -> None:
    def changed(name: str, **values: Any) -> str:
        content = yaml.safe_load((conf / name).read_text())
        (conf / name).write_text(yaml.safe_dump({**content, **values}))
        return load(conf).digest()

    before = load(conf).digest()

    assert changed("monitoring.yml", window_days=14) == before
    assert changed("demo.yml", challenged=date(2013, 12, 1)) == before
    by_seed = changed("training.yml", seed=8)
    by_options = changed("options.yml", candidates=[{"found_by": "me", "options": {"num_leaves": 7}}])
    assert len({before, by_seed, by_options}) == 3
    assert changed("training.yml", seed=load(ROOT / "conf").training.seed) != before  # the options still differ


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2013-04-01", datetime(2013, 4, 1, tzinfo=UTC)),
        ("2013-04-01T06:00", datetime(2013, 4, 1, 6, tzinfo=UTC)),
        ("2013-04-01 06:00:30", datetime(2013, 4, 1, 6, 0, 30, tzinfo=UTC)),
        ("2013-04-01T06:00Z", datetime(2013, 4, 1, 6, tzinfo=UTC)),
        ("2013-04-01T06:00-04:00", datetime(2013, 4, 1, 10, tzinfo=UTC)),
    ],
)
def test_as_of_is_a_date_or_a_moment_in_utc(text: str, moment: datetime) -> None:
    found = parse_as_of(text)

    assert (found, found.tzinfo) == (moment, UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2013-04", "2013-02-30", "01.04.2013", "2013-04-01T25:00", "now"])
def test_what_is_not_a_date_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_as_of(text)

    assert error.value.what == f"--as-of {text!r} is not a date."


@pytest.mark.parametrize("text", ["0001-01-01", "1066-10-14", "9999-12-31T23:59-05:00", "2500-01-01"])
def test_a_moment_that_no_data_can_have_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_as_of(text)

    assert error.value.what == f"--as-of {text!r} lies outside the years 1900 to 2200."
