"""What goes with a release of a model: its decision record, why it was decided so, and its card, with their digests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.errors import StorageError
from gatehouse.pipelines.approval import approval_verdict
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.decisions import card_of, find
from gatehouse.pipelines.pages import decision_of, read_card

if TYPE_CHECKING:
    from gatehouse.lakehouse.registry import Version

SUMS = "SHA256SUMS"


def publish_release(context: Context, version: Version, folder: Path) -> tuple[Path, ...]:
    """Write the files into a folder, over those of an earlier time, and return them; SHA256SUMS is the last.

    Raises:
        StateError: the version was not judged, or its record is not the one that the audit log knows.
    """
    from gatehouse.reports.card_page import card_html, card_markdown
    from gatehouse.reports.decision_page import decision_html
    from gatehouse.reports.summary import decision_markdown

    record = find(context, version)
    decision = decision_of(context, record, people=approval_verdict(context, record))
    card = read_card(context, version)
    stem = f"{context.project.name}-version-{record.promoted.version}"
    contents = {
        f"{stem}-record.json": record.to_json(),
        f"{stem}-decision.md": decision_markdown(decision),
        f"{stem}-decision.html": decision_html(decision, card=card_of(version.description)),
        f"{stem}-card.md": card_markdown(card),
        f"{stem}-card.html": card_html(card),
    }
    sums = "".join(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in contents.items())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(_written(folder / name, text) for name, text in {**contents, SUMS: sums}.items())
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror or error}.",
            why="The files of the release are put there.",
            remedy="Give yourself the right to write it, or choose another with --to DIR.",
        ) from error


def _written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())  # the bytes that the digest is of, on every system
    return path
