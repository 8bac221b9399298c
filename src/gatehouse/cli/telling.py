"""Tells the CI, where there is one, what a command has found: a summary on the run's page, values for later steps."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatehouse.ci.provider import Provider


def provider_of(folder: Path) -> Provider:
    """The CI this process runs in; `folder` is the checkout."""
    from gatehouse.ci import detect

    return detect(os.environ, log=sys.stderr, folder=folder)


def tell(folder: Path, markdown: str, outputs: Mapping[str, str] | None = None) -> None:
    """Add to the run's summary, and set outputs; nothing happens outside a CI."""
    provider = provider_of(folder)
    provider.summary(markdown)
    for name, value in (outputs or {}).items():
        provider.output(name, value)
