"""What pages name exists: links, commands with their options, keys of conf/. The written reference is up to date."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic import BaseModel

from gatehouse.cli import group
from gatehouse.cli.reference import reference
from gatehouse.gates.policy import Policy
from gatehouse.settings import FILES
from gatehouse.setup.answers import SetupFile

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page for pattern in ("*.md", "docs/*.md", "examples/*/*.md", "bench/*.md") for page in ROOT.glob(pattern)
)
CONFIGURATION: dict[str, type[BaseModel]] = {**FILES, "promotion": Policy, "setup": SetupFile}
A_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^()\s]+)\)")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in A_BLOCK.findall(page.read_text("utf-8")) if found == language]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return A_BLOCK.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pages
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = page.parent / path if path else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(target)

    assert not broken


def command_lines(page: Path) -> Iterator[list[str]]:
    """The arguments of every `gatehouse` line in a shell block."""
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            called = [i for i, word in enumerate(words) if word == "gatehouse" or word.endswith("/gatehouse")]
            if called:
                yield words[called[0] + 1 :]


@pages
def test_command_lines_are_understood(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click.Command, "invoke", lambda *_: None)  # parsed to the end, and not run
    refused = []
    for words in command_lines(page):
        try:
            group.main(args=words, prog_name="gatehouse", standalone_mode=False)
        except click.ClickException as error:
            refused.append(f"gatehouse {' '.join(words)}: {error.format_message()}")

    assert not refused


def unknown_in(words: list[str]) -> list[str]:
    """Verbs and options of a command that is shown in a sentence, where arguments may be left out."""
    command: click.Command = group
    unknown = []
    for word in words:
        if word.startswith("-"):
            known = {name for p in (*group.params, *command.params) for name in (*p.opts, "--help")}
            unknown += [word] if word not in known else []
        elif isinstance(command, click.Group) and word.islower():
            found = command.get_command(click.Context(command), word)
            unknown += [word] if found is None else []
            command = found or command
    return unknown


@pages
def test_commands_in_sentences_exist(page: Path) -> None:
    shown = [code.split() for code in CODE.findall(prose(page)) if re.match(r"(uv run )?gatehouse [a-z-]", code)]
    unknown = {" ".join(words): unknown_in(words[words.index("gatehouse") + 1 :]) for words in shown}

    assert not {code: names for code, names in unknown.items() if names}


def keys(stem: str) -> set[str]:
    """The keys of a file in conf/, as `section.key`, with names that the writer chooses left out."""

    def walk(schema: Mapping[str, Any], at: str) -> Iterator[str]:
        for option in (schema, *schema.get("anyOf", ())):
            found = definitions[option["$ref"].rpartition("/")[2]] if "$ref" in option else option
            for name, inner in found.get("properties", {}).items():
                yield f"{at}{name}"
                yield from walk(inner, f"{at}{name}.")
            chosen = found.get("patternProperties", {}).values()
            for inner in (*chosen, found.get("additionalProperties"), found.get("items")):
                if isinstance(inner, dict):
                    yield from walk(inner, at)

    schema = CONFIGURATION[stem].model_json_schema()
    definitions = schema.get("$defs", {})
    return set(walk(schema, ""))


KEYS = {stem: keys(stem) for stem in CONFIGURATION}
EVERY_KEY = set().union(*KEYS.values())
LAST_PARTS = {key.rpartition(".")[2] for key in EVERY_KEY}


@pages
def test_keys_of_the_configuration_exist(page: Path) -> None:
    text, unknown = prose(page), set[str]()
    for code in CODE.findall(text):
        dotted = re.fullmatch(r"([a-z_]+)\.[a-z_]+(\.[a-z_]+)*", code)
        if dotted and dotted[1] in EVERY_KEY and code not in EVERY_KEY and not code.endswith(".yml"):
            unknown.add(code)
        given = re.fullmatch(r"([a-z_]+): \S+", code)
        if given and given[1] not in LAST_PARTS:
            unknown.add(code)
    named = re.findall(r"`([a-z_]+)` in\s+`(?:conf/)?([a-z]+)\.yml`", text)
    for first, rest in re.findall(r"^\| `(?:conf/)?([a-z]+)\.yml` \|(.*)\|$", text, re.MULTILINE):
        named += [(word, first) for word in CODE.findall(rest) if re.fullmatch(r"[a-z]+(_[a-z]+)+", word)]
    unknown |= {f"{key} of {stem}.yml" for key, stem in named if key not in {k.rpartition(".")[2] for k in KEYS[stem]}}

    assert not unknown


def written_keys(content: object, at: str = "") -> Iterator[str]:
    if isinstance(content, dict):
        for name, inner in content.items():
            yield f"{at}{name}"
            yield from written_keys(inner, f"{at}{name}.")
    elif isinstance(content, list):
        for inner in content:
            yield from written_keys(inner, at)


@pages
def test_pieces_of_configuration_have_keys_that_exist(page: Path) -> None:
    assert not {key for block in blocks(page, "yaml") for key in written_keys(yaml.safe_load(block))} - EVERY_KEY


def test_every_key_of_the_policy_is_explained() -> None:
    explained = set(CODE.findall(prose(ROOT / "docs" / "gates.md")))
    sections = {key.rpartition(".")[0] for key in KEYS["promotion"]}
    # The margin of one guardrail and the parts of one manual check are shown with their parents.
    demanded = {k for k in KEYS["promotion"] - sections if not k.startswith(("guardrails.", "approval.manual_checks."))}

    assert not demanded - explained


def test_the_reference_of_the_commands_is_up_to_date() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")

    assert written == reference(), "uv run python -m gatehouse.cli.reference > docs/commands.md"
