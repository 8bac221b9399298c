"""What a model is known by stays the same, whoever loads it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gatehouse.lakehouse import model_files


@pytest.mark.broken_gate(6)
def test_a_model_that_brings_code_has_the_same_digest_after_it_was_loaded(
    make_model: Callable[[float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.delitem(sys.modules, "one_number", raising=False)
    folder = make_model(0.5)
    before = model_files.digest(folder)

    model_files.load(folder, "the model")

    assert model_files.digest(folder) == before
    assert not sys.dont_write_bytecode
