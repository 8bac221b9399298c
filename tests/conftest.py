"""What tests of several folders stand on: an MLflow database that need not be made each time, and a smallest model."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatehouse.lakehouse.mlflow_globals import set_environment

if TYPE_CHECKING:
    from gatehouse.lakehouse.tracking import Tracking

set_environment()  # before a test module imports MLflow, which would telephone home


@pytest.fixture(scope="session")
def mlflow_template(request: pytest.FixtureRequest) -> Path:
    """An empty MLflow database with its tables: made once per checkout and MLflow version, which takes seconds."""
    from gatehouse.lakehouse.mlflow_database import DATABASE, prepare

    folder = Path(request.config.cache.mkdir(f"mlflow-{version('mlflow')}"))
    prepare(folder)
    return folder / DATABASE


@pytest.fixture
def mlflow_root(mlflow_template: Path, tmp_path: Path) -> Path:
    """A lakehouse folder in which MLflow is ready for use."""
    root = tmp_path / "lakehouse"
    root.mkdir()
    shutil.copy(mlflow_template, root)
    return root


@pytest.fixture
def tracking(mlflow_root: Path) -> Tracking:
    """An empty experiment on an empty database."""
    from gatehouse.lakehouse.tracking import open_tracking

    return open_tracking(mlflow_root, experiment="dev.flights.delays")


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[[float], Path]:
    """Writes the files of a model that predicts one number, whatever it is asked; nothing is trained or pickled."""

    def make(number: float) -> Path:
        folder = tmp_path / f"model-{number}"
        (folder / "code").mkdir(parents=True)
        (folder / "number.txt").write_text(str(number))
        (folder / "code" / "one_number.py").write_text(
            "from pathlib import Path\n"
            "class OneNumber:\n"
            "    def __init__(self, number):\n"
            "        self.number = number\n"
            "    def predict(self, frame):\n"
            "        return [self.number] * len(frame)\n"
            "def _load_pyfunc(path):\n"
            "    return OneNumber(float(Path(path).read_text()))\n"
        )
        (folder / "MLmodel").write_text(
            "flavors:\n"
            "  python_function:\n"
            "    loader_module: one_number\n"
            "    code: code\n"
            "    data: number.txt\n"
            f"    python_version: {platform.python_version()}\n"
        )
        return folder

    return make
