"""The second use case says how its file was made; this makes it again."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "temperature"


def test_the_lines_in_the_readme_make_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```python\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    script = tmp_path / "make.py"
    script.write_text(lines, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    runpy.run_path(str(script))

    made = (tmp_path / "daily_weather.csv").read_text(encoding="utf-8").splitlines()
    assert made == (EXAMPLE / "daily_weather.csv").read_text(encoding="utf-8").splitlines()
