"""Models of all kinds in front of the gates: what must not run here is rejected with the reason, whatever it scores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from gatehouse.errors import Refused
from gatehouse.gates.promotion import CHALLENGER, CHAMPION
from gatehouse.gates.verdict import Outcome
from gatehouse.pipelines.clean_process import CleanProcess
from gatehouse.pipelines.inference import infer
from gatehouse.pipelines.release import Judged, judge

if TYPE_CHECKING:
    from tests.integration.pipelines.release.conftest import Road

pytestmark = pytest.mark.slow

REQUIREMENTS = [f"{name}=={version(name)}" for name in ("mlflow", "numpy")]
CUSTOM = {"allowed_flavours": ["python_function"], "allow_code": True}

# A model from code: a linear function whose weights lie beside it, with one line that differs from case to case.
LINEAR = """
import json
import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

class Linear(PythonModel):
    def load_context(self, context):
        self.weights = json.loads(open(context.artifacts["weights"]).read())

    def predict(self, context, model_input):
        rows = model_input.to_numpy(dtype=float)
        found = np.nan_to_num(rows) @ np.array(self.weights["slopes"]) + self.weights["intercept"]
        {line}
        return found

set_model(Linear())
"""
LINES = {
    "sound": "pass",
    "raises on the third row": "assert len(rows) < 3 or rows[2, 0] > 99, 'the third row is not to my taste'",
    "predicts NaN": "found[::2] = np.nan",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Workshop:
    """Makes model files, and registers them with the lineage, card and run of version 2: all but the files is good."""

    road: Road
    folder: Path

    @property
    def features(self) -> list[str]:
        return list(self.road.context().project.features)

    def linear(self, line: str) -> str:
        """A custom pyfunc that predicts what version 2 predicts, but for that line."""
        import mlflow.pyfunc

        place = self.folder / f"linear-{len(list(self.folder.iterdir()))}"
        place.mkdir()
        (place / "weights.json").write_text(json.dumps(self._weights()))
        (place / "linear.py").write_text(LINEAR.replace("{line}", line))
        mlflow.pyfunc.save_model(
            str(place / "model"),
            python_model=str(place / "linear.py"),
            artifacts={"weights": str(place / "weights.json")},
            signature=self.signature(self.features),
            pip_requirements=REQUIREMENTS,
        )
        return self.register(place / "model")

    def register(self, files: Path) -> str:
        context, good = self.road.context(), self.road.version("2")
        made = context.registry.register(
            context.model,
            source=files.as_uri(),
            run_id=good.run_id,
            tags={k: v for k, v in good.tags.items() if k not in ("gatehouse_record", "gatehouse_verdict")},
            description=good.description,
        )
        return made.version

    def signature(self, columns: Sequence[str]) -> Any:
        from mlflow.models import infer_signature

        return infer_signature(pd.DataFrame(0.5, index=[0], columns=list(columns)), np.array([0.5]))

    def _weights(self) -> dict[str, Any]:
        """The linear function that version 2 is, read off its predictions."""
        context = self.road.context()
        model = context.registry.load(context.model, "2")
        points = pd.DataFrame(np.vstack([np.zeros(9), np.eye(9)]), columns=self.features)
        found = np.asarray(model.predict(points))
        return {"intercept": found[0], "slopes": (found[1:] - found[0]).tolist()}


@pytest.fixture
def workshop(road: Road, tmp_path: Path) -> Workshop:
    folder = tmp_path / "models"
    folder.mkdir()
    return Workshop(road=road, folder=folder)


@pytest.fixture
def judged(workshop: Workshop) -> Iterator[Callable[[str], Judged]]:
    """The custom models, each examined in a clean process of its own; the processes start together."""
    road = workshop.road.policy(compliance=CUSTOM)
    with ExitStack() as stack:
        processes = {name: stack.enter_context(CleanProcess()) for name in LINES}
        yield lambda name: judge(road.context(), road.version(workshop.linear(LINES[name])), processes[name])


def reasons(found: Judged, outcome: Outcome = Outcome.HOLD) -> dict[str, str]:
    return {f.rule: f.reason for f in found.record.findings if f.gate == "compliance" and f.outcome is outcome}


def test_a_custom_model_passes_every_gate_if_the_policy_lets_it_and_one_that_misbehaves_does_not(
    workshop: Workshop, judged: Callable[[str], Judged]
) -> None:
    road = workshop.road.policy(compliance=CUSTOM)

    raising = judged("raises on the third row")
    assert raising.verdict.outcome is Outcome.HOLD
    assert "AssertionError: the third row is not to my taste" in reasons(raising)["predicts"]
    assert raising.record.opponent is None
    assert set(reasons(raising)) == {"predicts", "serves", "parity"}

    nothing = judged("predicts NaN")
    assert nothing.verdict.outcome is Outcome.HOLD
    assert set(reasons(nothing)) == {"predicts", "odd_rows", "parity"}
    assert reasons(nothing)["predicts"].endswith("some predictions are not finite")

    sound = judged("sound")
    assert sound.verdict.outcome is Outcome.PROMOTE, sound.verdict.sentence()
    assert reasons(sound, Outcome.PROMOTE)["serialisation"] == (
        "It is stored as python_function, with code that was let through, without pickles."
    )
    number = sound.record.candidate.version
    road.decide(number, "anna@example.org")
    assert road.promote(number).champion == number
    assert infer(road.context()).rows > 0


def test_a_custom_model_is_rejected_where_the_policy_lets_only_native_ones_run(workshop: Workshop) -> None:
    road = workshop.road

    found = road.judge(workshop.linear("pass"))

    assert reasons(found) == {
        "serialisation": "It is not stored safely: a custom python_function is not among the allowed flavours; it "
        "brings code along (linear.py)."
    }
    with pytest.raises(Refused, match="it brings code along"):
        road.decide(found.record.candidate.version, "anna@example.org")
    assert road.aliases() | {CHAMPION: "1", CHALLENGER: "2"} == road.aliases()


def test_a_pickle_with_loose_requirements_and_no_signature_is_rejected_for_all_of_it(workshop: Workshop) -> None:
    import mlflow.sklearn
    from sklearn.linear_model import Ridge

    place = workshop.folder / "pickled"
    model = Ridge().fit(np.eye(9), np.arange(9.0))
    mlflow.sklearn.save_model(
        model, str(place), serialization_format="cloudpickle", pip_requirements=["scikit-learn>=1.6", "numpy"]
    )

    found = reasons(workshop.road.judge(workshop.register(place)))

    assert found == {
        "signature": "The version has no complete signature, so nothing checks what it is fed.",
        "serialisation": "It is not stored safely: model.pkl can run any code when it is loaded.",
        "requirements": "Requirements are not locked: scikit-learn>=1.6, numpy.",
    }


def test_a_model_that_reads_what_is_known_only_afterwards_is_rejected(workshop: Workshop) -> None:
    import mlflow.sklearn
    from sklearn.linear_model import Ridge

    columns = [*workshop.features, "next_temperature", "humidity"]
    frame = pd.DataFrame(np.eye(len(columns)), columns=columns)
    place = workshop.folder / "leaky"
    mlflow.sklearn.save_model(
        Ridge().fit(frame, frame["next_temperature"]),
        str(place),
        serialization_format="skops",
        signature=workshop.signature(columns),
        pip_requirements=REQUIREMENTS,
    )

    assert reasons(workshop.road.judge(workshop.register(place))) == {
        "columns": "The model reads columns it must not: next_temperature: known only after the event.",
        "features": "The model reads humidity, which the project does not declare as features.",
    }


def test_a_model_whose_description_is_cut_in_half_is_rejected_and_crashes_nothing(workshop: Workshop) -> None:
    place = workshop.folder / "damaged"
    shutil.copytree(workshop.road.files("2"), place)
    whole = (place / "MLmodel").read_text()
    (place / "MLmodel").write_text(whole[: len(whole) // 2] + "\n\t{")

    found = workshop.road.judge(workshop.register(place))

    assert found.verdict.outcome is Outcome.HOLD
    assert reasons(found)["serialisation"] == "It is not stored safely: no file says in which flavour."


def test_a_version_without_lineage_card_or_run_is_rejected_for_each(workshop: Workshop) -> None:
    road = workshop.road
    context = road.context()
    bare = context.registry.register(context.model, source=road.files("2").as_uri(), run_id=None, tags={})

    found = road.judge(bare.version)

    assert set(reasons(found)) == {"lineage", "model_card", "explanation"}
    assert (found.record.verdict, found.record.candidate.proposer) == (Outcome.HOLD, "unknown")
