"""The defect of each gate that was found broken elsewhere, put into a copy of the source.

The tests that are marked with its number fail, and without it they pass. Entries 8 to 12 and 22 of the list are about
workflows, and are proven where workflows are run.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
OF_WORKFLOWS = {8, 9, 10, 11, 12, 22}
PARALLEL = Path(__file__).parent / "harness" / "fork_pytest.py"
IMPORTED = (
    "alembic.command",
    "deltalake",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "pandas",
    "pydantic",
    "pysail.spark",
    "pytest",
    "pyspark.sql.connect.functions",
    "pyspark.sql.connect.session",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.pipeline",
)

NO_PROGRAM = ("AttributeError", "ImportError", "IndentationError", "ModuleNotFoundError", "NameError", "SyntaxError")
SLOW_TO_BEGIN = "tests/integration/pipelines/"
"""What is tested there stands on lakehouses that take long to make: the first run, without a defect, keeps them."""

CHALLENGE = "tests/unit/gates/test_challenge.py"
COMPARISON = "tests/unit/evaluation/test_comparison.py"
APPROVAL = "tests/unit/gates/test_approval.py"
GUARDS = "tests/unit/gates/test_guards.py"
HOLD_OUT = "tests/unit/gates/test_hold_out.py"
PROMOTION = "tests/integration/gates/test_promotion.py"
JUDGING = "tests/integration/pipelines/release/test_judging.py"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutation:
    """In `file`, `old` becomes `new`: the defect of an entry. Of `tests`, each must then fail."""

    entry: int
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS = {
    "the challenger is compared with itself": Mutation(
        entry=1,
        file="gatehouse/evaluation/comparison.py",
        old="old = measure(statistics, metric, key, champion)",
        new="old = measure(statistics, metric, key, candidate)",
        tests=(
            f"{CHALLENGE}::test_a_known_better_model_wins_and_a_known_worse_one_loses",
            f"{CHALLENGE}::test_swapped_contenders_give_the_mirrored_evidence_and_never_both_win",
        ),
    ),
    "nobody minds a version that meets itself": Mutation(
        entry=1,
        file="gatehouse/gates/admissibility.py",
        old='opponent.kind == "champion" and opponent.version == candidate.version',
        new="False",
        tests=(f"{CHALLENGE}::test_a_version_compared_with_itself_is_an_error",),
    ),
    "the verdict is overwritten with deploy": Mutation(
        entry=2,
        file="gatehouse/gates/approval.py",
        old="elif record.verdict is not Outcome.PROMOTE:",
        new="elif False:",
        tests=(f"{APPROVAL}::test_approval_does_not_open_what_the_gates_held",),
    ),
    "a verdict that its findings do not have is believed": Mutation(
        entry=2,
        file="gatehouse/gates/approval.py",
        old="if record.verdict is not record.judged.outcome:",
        new="if False:",
        tests=(f"{APPROVAL}::test_a_verdict_that_was_overwritten_is_an_error",),
    ),
    "a metric rewards missing the event": Mutation(
        entry=3,
        file="gatehouse/evaluation/metrics.py",
        old='BRIER = Ratio(name="brier", numerator=_squared_error, tasks=_SCORES)',
        new='BRIER = Ratio(name="brier", numerator=_squared_error, greater_is_better=True, tasks=_SCORES)',
        tests=(
            "tests/unit/evaluation/test_soundness.py::test_no_prediction_beats_the_truth_on_any_metric_offered",
            f"{CHALLENGE}::test_a_perfect_model_beats_one_that_always_says_the_same_whatever_the_metric",
        ),
    ),
    "no metric is too good for a constant": Mutation(
        entry=3,
        file="gatehouse/evaluation/soundness.py",
        old='yield f"the constant {constant:.6g}", np.full(len(y), constant)',
        new="pass",
        tests=("tests/unit/evaluation/test_soundness.py::test_a_metric_that_rewards_missing_the_event_is_found_out",),
    ),
    "who proposed approves": Mutation(
        entry=4,
        file="gatehouse/gates/consent.py",
        old="if is_own(case, decision) and not case.policy.approval.allow_own:",
        new="if False:",
        tests=(
            f"{APPROVAL}::test_the_identity_that_proposed_cannot_approve",
            f"{APPROVAL}::test_who_wrote_the_commits_of_a_scheduled_candidate_cannot_approve_it",
            f"{APPROVAL}::test_whom_a_check_names_does_not_answer_for_what_comes_from_them",
        ),
    ),
    "any error is taken for no champion yet": Mutation(
        entry=5,
        file="gatehouse/lakehouse/registry_mlflow.py",
        old="if self._is_free(model, alias, error):\n                    return None\n                raise",
        new="return None",
        tests=(
            "tests/integration/lakehouse/test_registry_mlflow.py"
            "::test_anything_else_a_server_says_is_not_taken_for_no_champion",
        ),
    ),
    "a champion without numbers is no champion": Mutation(
        entry=5,
        file="gatehouse/gates/measured.py",
        old="    if not found:\n        return _error(",
        new="    if not found:\n        return NotMeasured(outcome=Outcome.PROMOTE, reason=",
        tests=(f"{CHALLENGE}::test_a_missing_metric_is_an_error_and_not_a_first_deployment",),
    ),
    "an approval is good for any version": Mutation(
        entry=6,
        file="gatehouse/gates/consent.py",
        old="objection = _unbound(case, decision) or _untimely",
        new="objection = _untimely",
        tests=(f"{APPROVAL}::test_an_approval_of_something_else_does_not_count",),
    ),
    "files are known by their names": Mutation(
        entry=6,
        file="gatehouse/lakehouse/model_files.py",
        old="hashlib.file_digest(content, 'sha256').hexdigest()",
        new="content.name and 'f' * 64",
        tests=(
            "tests/integration/lakehouse/test_registry_contract.py::test_any_change_of_the_files_changes_the_digest",
        ),
    ),
    "the alias is scored, not the version under test": Mutation(
        entry=6,
        file="gatehouse/pipelines/challenge.py",
        old='= {"candidate": predict_with(context, candidate)}',
        new='= {"candidate": prepared.predict_opponent or predict_with(context, candidate)}',
        tests=(f"{JUDGING}::test_what_is_scored_is_the_version_under_test_and_not_who_holds_the_alias",),
    ),
    # Retraining is a matter of the calendar: nothing counts violations, so nothing can go on counting old ones. What
    # could still train for ever is a training that does not find its own version again.
    "every commit trains anew": Mutation(
        entry=7,
        file="gatehouse/pipelines/training.py",
        old='"code": context.code.training_digest,',
        new='"code": context.code.training_digest + context.code.commit,',
        tests=(
            "tests/integration/pipelines/test_training.py"
            "::test_what_decides_the_model_makes_a_version_and_nothing_else_does",
        ),
    ),
    "rows that were trained on are judged on": Mutation(
        entry=13,
        file="gatehouse/gates/hold_out.py",
        old="elif shared != 0:",
        new="elif False:",
        tests=(f"{HOLD_OUT}::test_one_key_of_the_hold_out_in_the_training_rows_is_refused_whatever_the_windows_say",),
    ),
    "a number that is none passes": Mutation(
        entry=14,
        file="gatehouse/gates/measured.py",
        old="if not all(map(math.isfinite, (*values, *comparison.influence))):",
        new="if False:",
        tests=(
            f"{CHALLENGE}::test_a_number_that_is_not_finite_is_an_error",
            f"{CHALLENGE}::test_one_influence_that_is_not_a_number_is_an_error",
        ),
    ),
    "an empty list of findings passes": Mutation(
        entry=14,
        file="gatehouse/gates/verdict.py",
        old="default=Outcome.ERROR)",
        new="default=Outcome.PROMOTE)",
        tests=("tests/unit/gates/test_verdict.py::test_a_verdict_without_findings_is_an_error",),
    ),
    "nobody misses a required slice": Mutation(
        entry=15,
        file="gatehouse/gates/guards.py",
        old="        if rows == 0:\n",
        new="        if rows == 0:\n            continue\n        if rows == 0:\n",
        tests=(f"{GUARDS}::test_a_required_slice_that_is_absent_blocks_and_is_named",),
    ),
    "two numbers are compared": Mutation(
        entry=16,
        file="gatehouse/gates/decision.py",
        old="if exceeds < error_rate:",
        new="if exceeds < 0.5:",
        tests=(
            "tests/unit/gates/test_error_rates.py"
            "::test_a_model_half_a_point_less_accurate_is_promoted_as_rarely_as_stated",
        ),
    ),
    "slices are not corrected for their number": Mutation(
        entry=17,
        file="gatehouse/evaluation/significance.py",
        old="factors = len(p_values) - np.arange(len(p_values))",
        new="factors = np.ones(len(p_values))",
        tests=(
            "tests/unit/evaluation/test_significance.py"
            "::test_of_ten_harmless_slices_one_is_blamed_no_oftener_than_stated",
        ),
    ),
    "every slice has a veto": Mutation(
        entry=17,
        file="gatehouse/gates/verdict.py",
        old="deciding = [f.outcome for f in self.findings if not f.informative]",
        new="deciding = [f.outcome for f in self.findings]",
        tests=(
            f"{GUARDS}::test_three_tiny_slices_that_look_bad_do_not_veto_a_better_model",
            f"{GUARDS}::test_a_slice_that_is_not_required_informs_however_large_it_is",
        ),
    ),
    "a gate that never says yes is let be": Mutation(
        entry=18,
        file="gatehouse/gates/reachability.py",
        old="    if have >= need:",
        new="    if True:",
        tests=(
            "tests/unit/gates/test_reachability.py"
            "::test_a_hold_out_smaller_than_the_policy_demands_can_never_be_decided",
        ),
    ),
    "the way back leads to the number before": Mutation(
        entry=19,
        file="gatehouse/gates/promotion.py",
        old="return live, tuple(skipped)",
        new="return Live(version=str(int(holder) - 1), kind=live.kind, entry=live.entry, record=live.record), ()",
        tests=(f"{PROMOTION}::test_the_way_back_leads_to_the_last_that_was_live_and_not_to_the_number_before",),
    ),
    "the way back leads to whatever was live": Mutation(
        entry=19,
        file="gatehouse/gates/promotion.py",
        old="if (wrong := passes(live)) is None:",
        new="if (wrong := None) is None:",
        tests=(
            f"{PROMOTION}::test_where_nothing_works_nothing_is_guessed",
            f"{PROMOTION}::test_versions_that_do_not_work_or_passed_no_gate_are_passed_over_with_the_reason",
        ),
    ),
    "the champion is judged on what it was trained on": Mutation(
        entry=20,
        file="gatehouse/gates/hold_out.py",
        old="elif not contender.training.end <= hold_out.start < hold_out.end:",
        new="elif False:",
        tests=(f"{HOLD_OUT}::test_a_contender_trained_into_the_hold_out_is_refused",),
    ),
    "an error of the smoke test is swallowed": Mutation(
        entry=21,
        file="gatehouse/gates/promotion.py",
        old="            wrong = error.what",
        new="            wrong = None",
        tests=(f"{PROMOTION}::test_a_version_that_does_not_load_is_taken_back",),
    ),
    "a dry run acts": Mutation(
        entry=21,
        file="gatehouse/pipelines/promotion.py",
        old="    if dry_run:",
        new="    if False:",
        tests=(
            "tests/integration/pipelines/release/test_promoting.py"
            "::test_a_dry_run_says_where_it_would_lead_and_changes_nothing",
        ),
    ),
    "predictions are overwritten": Mutation(
        entry=23,
        file="gatehouse/pipelines/inference.py",
        old='events.join(log.select(*keys).distinct(), keys, "left_anti")',
        new="events",
        tests=(
            "tests/integration/pipelines/test_inference.py"
            "::test_the_same_run_again_adds_nothing_and_a_day_later_only_that_day",
        ),
    ),
    "whoever comes last is champion": Mutation(
        entry=24,
        file="gatehouse/gates/promotion.py",
        old="        if holder == move.expected:\n            return\n",
        new="        return\n",
        tests=(
            f"{PROMOTION}::test_a_version_that_was_judged_against_another_champion_is_refused_and_told_who_is",
            f"{PROMOTION}::test_of_two_that_were_judged_against_one_champion_the_second_is_refused",
        ),
    ),
    "nobody compares before they set": Mutation(
        entry=24,
        file="gatehouse/lakehouse/registry.py",
        old="    if holder == wanted:\n        return\n",
        new="    return\n",
        tests=(
            "tests/integration/lakehouse/test_registry_contract.py"
            "::test_of_eight_that_promote_at_once_one_wins_and_the_others_learn_who",
        ),
    ),
    "a switch switches nothing": Mutation(
        entry=25,
        file="gatehouse/gates/stability.py",
        old="limit = evidence.stability.score_shift, policy.stability.score_shift",
        new="limit = evidence.stability.score_shift, 1.0",
        tests=("tests/unit/gates/test_every_setting.py::test_a_setting_switches",),
    ),
    "one approval is enough, whatever the policy says": Mutation(
        entry=25,
        file="gatehouse/gates/approval.py",
        old="wanted = case.policy.approval.number",
        new="wanted = 1",
        tests=("tests/unit/gates/test_every_setting.py::test_a_setting_switches",),
    ),
}

Outcomes = dict[str, set[str]]
"""By test function, whatever its parameters: how it ended. `failed` is an assertion or error in the test itself."""


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str | None, Outcomes]:
    """Of the tests of each mutation that was asked for, and, by None, of all these tests on the source as it is."""
    folder = tmp_path_factory.mktemp("mutations")
    asked = {name for item in request.session.items if (name := _mutation_of(item))}
    wanted = sorted(name for name in asked if _occurrences(MUTATIONS[name]) == 1)
    trees: dict[str | None, Path] = {None: SOURCE}
    trees |= {name: _mutated(MUTATIONS[name], folder / str(number)) for number, name in enumerate(wanted)}
    cache = folder / "cache"
    kept = cache / "d" / mlflow_template.parent.name  # as pytest's cache keeps it: making it takes seconds
    kept.mkdir(parents=True)
    shutil.copy(mlflow_template, kept)
    states = folder / "states"
    states.mkdir()
    jobs = []
    for number, (name, tree) in enumerate(trees.items()):
        tests = {test for n in wanted if name in (None, n) for test in MUTATIONS[n].tests}
        options = ["-q", "--tb=short", f"--rootdir={ROOT}", f"--basetemp={folder / f'temporary {number}'}"]
        options += ["-o", f"cache_dir={cache}", f"--junitxml={folder / f'{number}.xml'}"]
        jobs.append(
            {
                "source": str(tree),
                "arguments": [*options, *sorted(tests)],
                "output": str(folder / f"{number}.txt"),
                "waits": name is not None and any(test.startswith(SLOW_TO_BEGIN) for test in tests),
            }
        )
    (folder / "jobs.json").write_text(json.dumps(jobs))
    subprocess.run(
        [sys.executable, str(PARALLEL), str(folder / "jobs.json"), *IMPORTED],
        cwd=ROOT,
        env={**os.environ, "GATEHOUSE_TEST_STATES": str(states)},
        check=True,
    )
    return {name: _read(folder / f"{number}.xml") for number, name in enumerate(trees)}


@pytest.mark.engine("sail")  # a forked process has no JVM
@pytest.mark.skipif(sys.platform == "win32", reason="cannot fork")
@pytest.mark.parametrize("name", MUTATIONS)
def test_the_tests_of_an_entry_fail_with_the_defect_and_pass_without_it(
    outcomes: dict[str | None, Outcomes], name: str
) -> None:
    mutation = MUTATIONS[name]
    assert _occurrences(mutation) == 1, f"{mutation.file} has changed: find {mutation.old!r} in it again"
    for test in mutation.tests:
        assert mutation.entry in entries_of(test), f"{test} is not marked with {mutation.entry}"
        assert outcomes[None][test] == {"passed"}
        assert "failed" in outcomes[name][test]


def test_every_entry_has_a_test_that_was_seen_to_fail() -> None:
    assert {m.entry for m in MUTATIONS.values()} | OF_WORKFLOWS == set(range(1, 26))


def _mutation_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None) if item.path == Path(__file__) else None
    return callspec.params.get("name") if callspec else None


def _mutated(mutation: Mutation, folder: Path) -> Path:
    """A copy of the source with the defect in it."""
    shutil.copytree(SOURCE, folder)
    path = folder / mutation.file
    path.write_text(path.read_text(encoding="utf-8").replace(mutation.old, mutation.new), encoding="utf-8")
    return folder


def _occurrences(mutation: Mutation) -> int:
    return (SOURCE / mutation.file).read_text(encoding="utf-8").count(mutation.old)


def _read(report: Path) -> Outcomes:
    found: Outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - written by pytest just now
        test = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '').partition('[')[0]}"
        found.setdefault(test, set()).add(next(filter(None, map(_ended, case)), "passed"))
    return found


def _ended(element: ElementTree.Element) -> str | None:
    """What an element of a test case's report says of it; a mutant that is no program anymore proves nothing."""
    if element.tag == "failure" and element.get("message", "").startswith(NO_PROGRAM):
        return "broken"
    return {"failure": "failed", "error": "broken", "skipped": "skipped"}.get(element.tag)


@cache
def _marks(file: str) -> dict[str, set[int]]:
    """The entries with which each test function of a file is marked, and by "" those of the whole file."""
    marks: dict[str, set[int]] = {"": set()}
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            marks[node.name] = {n for mark in node.decorator_list for n in _entries(mark)}
        elif isinstance(node, ast.Assign) and "pytestmark" in map(ast.unparse, node.targets):
            marks[""] |= set(_entries(node.value))
    return marks


def _entries(node: ast.AST) -> Iterator[int]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.broken_gate":
            yield from (ast.literal_eval(argument) for argument in call.args)


def entries_of(test: str) -> set[int]:
    file, _, function = test.partition("::")
    return _marks(file)[function] | _marks(file)[""]
