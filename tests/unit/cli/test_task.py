"""The entry point of a wheel task: the same commands, told in the form that a job and its follower understand."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatehouse.cli.task import TaskFailed, main
from gatehouse.cli.telling import tell
from gatehouse.databricks.outcome import Outcome, read_outcome

TEMPERATURE = Path(__file__).parents[3] / "examples" / "temperature" / "conf"


@pytest.fixture(autouse=True)
def own_lakehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEHOUSE_LAKEHOUSE", str(tmp_path / "lakehouse"))


def outcome(capsys: pytest.CaptureFixture[str]) -> Outcome:
    found = read_outcome(capsys.readouterr().out)
    assert found is not None
    return found


def test_a_command_that_succeeds_returns_and_says_so_last(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--conf", str(TEMPERATURE), "clock", "--env", "staging"])

    assert outcome(capsys) == Outcome(0, {})


def test_an_option_without_a_value_was_not_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TaskFailed, match="exit code 2"):
        main(["run", "nothing", "--env=staging", "--as-of="])

    found = outcome(capsys)
    assert (found.code, found.outputs["what"]) == (2, "There is no pipeline 'nothing'.")


def test_an_error_is_raised_and_handed_over_with_its_class_and_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TaskFailed, match="exit code 3"):
        main(["--conf", str(TEMPERATURE), "clock", "--env", "nowhere"])

    found = outcome(capsys)
    assert found.code == 3
    assert "nowhere" in found.outputs["what"]
    assert set(found.outputs) == {"what", "why", "remedy"}


def test_what_a_command_tells_a_ci_is_handed_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(arguments: list[str]) -> tuple[int, None]:
        tell(Path(), "## Verdict\n", {"version": "3"})
        tell(Path(), "Held.", {"verdict": "hold"})
        return 0, None

    monkeypatch.setattr("gatehouse.cli.execute", judged)
    main(["release"])

    said = {"summary": "## Verdict\n\nHeld.\n\n", "version": "3", "verdict": "hold"}
    assert outcome(capsys) == Outcome(0, said)


def test_a_wrong_option_fails_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TaskFailed, match="exit code 2"):
        main(["run", "ingest", "--nonsense"])

    assert outcome(capsys).code == 2
