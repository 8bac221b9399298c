"""What every registry refuses, so that a laptop says no to whatever Unity Catalog would say no to.

Unity Catalog's limits on names and tags: docs.databricks.com, "Apply tags to Unity Catalog securable objects" and
"Unity Catalog requirements and limitations".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from gatehouse.errors import AccessDenied, DataError, UsageError

COPIED_FROM = "gatehouse_copied_from"
"""Tag of a copied version: `model/version` of the one it was copied from."""

APPROVAL_TAG = "approval"
APPROVAL_RECORD_TAG = "approval_record"
APPROVAL_TAGS = (APPROVAL_TAG, APPROVAL_RECORD_TAG)
"""By which people approve a version (`gates.tagged`). A copy leaves them behind: it was not what they looked at."""

MAX_TAGS = 50
MAX_KEY = 255
MAX_VALUE = 1000
_KEY_REFUSES = re.compile(r"[.,\-=/:]|^\s|\s$")
_PART = r"[^\s./\x00-\x1f\x7f]+"
_MODEL = re.compile(rf"({_PART})\.({_PART})\.({_PART})")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_ALIAS = re.compile(r"[A-Za-z0-9_\-]{1,255}")
_ALIAS_REFUSES = re.compile(r"latest|v\d+", re.IGNORECASE)

Schema = tuple[str, str]
"""A catalog and a schema in it."""


def without_approval(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that go with a copy."""
    return {key: text for key, text in tags.items() if key not in APPROVAL_TAGS}


def check_model(model: str) -> Schema:
    """Where a model lives; UsageError unless its name has the form catalog.schema.name."""
    parts = _MODEL.fullmatch(model)
    if parts is None or len(model) > MAX_KEY or "'" in model:
        raise UsageError(
            f"{model!r} is not the name of a registered model.",
            why="Its catalog and schema say which environment it belongs to.",
            remedy="Write catalog.schema.name, without spaces or slashes.",
        )
    return parts[1], parts[2]


def check_writable(model: str, writable: Collection[Schema]) -> None:
    """AccessDenied unless the model lives in one of the schemas."""
    place = check_model(model)
    if place not in writable:
        mine = ", ".join(".".join(schema) for schema in sorted(writable)) or "nothing"
        raise AccessDenied(
            f"This environment may not change {model}; it may change {mine}.",
            why="An environment that could write another's models could promote past its gates.",
            remedy="Run the command with --env of the environment that owns the model.",
        )


def check_alias(alias: str) -> None:
    """UsageError for an alias that registries refuse or, like `latest`, give a meaning of their own."""
    if not _ALIAS.fullmatch(alias) or _ALIAS_REFUSES.fullmatch(alias):
        raise UsageError(
            f"{alias!r} cannot be an alias.",
            why="Registries read `latest` and `v1` as something else, and refuse special characters.",
            remedy="Use letters, digits and underscores, such as champion.",
        )


def check_version(version: str) -> None:
    """UsageError unless a version is a whole number, written as text."""
    if not _VERSION.fullmatch(version):
        raise UsageError(
            f"{version!r} is not the number of a version.",
            why="A version is what was judged; an alias or a name could mean another one tomorrow.",
            remedy="gatehouse status shows which versions there are.",
        )


def check_tags(tags: Mapping[str, str]) -> None:
    """DataError for tags that Unity Catalog would refuse."""
    found = [
        *(f"the key {key!r} has one of . , - = / : or a space at an end" for key in tags if _KEY_REFUSES.search(key)),
        *(f"the key {key!r} is not 1 to {MAX_KEY} characters long" for key in tags if not 0 < len(key) <= MAX_KEY),
        *(
            f"the value of {key} is {len(text):,} characters long, {MAX_VALUE:,} are possible"
            for key, text in tags.items()
            if len(text) > MAX_VALUE
        ),
    ]
    if len(tags) > MAX_TAGS:
        found.append(f"{len(tags)} tags, {MAX_TAGS} are possible")
    if found:
        raise DataError(
            f"These tags cannot be stored: {'; '.join(found)}.",
            why="Unity Catalog refuses them, so a release that works here would fail there.",
            remedy="Rename the key, or put long text in the description or an artefact of the run.",
        )
