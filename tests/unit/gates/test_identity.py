"""Who somebody is: as good as it was established, and one person however their name is spelled."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gatehouse.errors import UsageError
from gatehouse.gates.identity import Identity, Strength, git_config_of, local_identity, people, same_person


def git(email: str | None) -> Callable[[str], str | None]:
    return {"user.email": email}.get


def test_git_says_who_you_are() -> None:
    assert local_identity(None, git("anna@example.org")) == Identity(
        name="anna@example.org", established_by="git config user.email", strength=Strength.CLAIMED
    )


def test_as_says_it_where_git_says_nothing() -> None:
    assert local_identity(" anna@example.org ", git(None)) == Identity(
        name="anna@example.org", established_by="--as", strength=Strength.CLAIMED
    )


def test_as_that_contradicts_git_is_written_down() -> None:
    assert local_identity("bob@example.org", git("anna@example.org")) == Identity(
        name="bob@example.org",
        established_by="--as, where git config user.email is anna@example.org",
        strength=Strength.CLAIMED,
    )


def test_as_that_agrees_with_git_contradicts_nothing() -> None:
    assert local_identity("Anna@Example.org", git("anna@example.org")).established_by == "--as"


def test_an_identity_reads_as_what_it_is_worth() -> None:
    assert str(local_identity("anna@example.org", git(None))) == "anna@example.org (claimed, by --as)"


@pytest.mark.parametrize("email", [None, "", "  "])
def test_somebody_whom_nothing_names_is_refused(email: str | None) -> None:
    with pytest.raises(UsageError, match="Nobody says who you are") as caught:
        local_identity(None, git(email))

    assert "git config user.email you@example.org" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "Nobody says who you are"),
        (" ", "Nobody says who you are"),
        ("unknown", "'unknown' is nobody's name"),
        ("\u200b", "is nobody's name"),
        ("schedule", "'schedule' cannot be the name of a person"),
        ("Schedule ", "'Schedule' cannot be the name of a person"),
        ("anna@example.org\u200b", r"'anna@example.org\\u200b' cannot be the name of a person"),
        ("anna\udcff@example.org", r"'anna\\udcff@example.org' cannot be the name of a person"),
        ("anna@example.org\nbob@example.org", "cannot be the name of a person"),
    ],
)
def test_a_name_that_can_be_nobodys_is_refused(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        local_identity(name, git("anna@example.org"))


@pytest.mark.parametrize(
    "spelling",
    [
        "anna@example.org",
        "Anna@Example.ORG",
        "  anna@example.org\t",
        "Anna Müller <anna@example.org>",
        "<ANNA@example.org> ",
        "\uff41nn\uff41@example.org",
        "anna\u200b@example.org",
        "\ufeffanna@example.org",
    ],
)
def test_one_person_can_be_spelled_in_many_ways(spelling: str) -> None:
    assert same_person(spelling) == "anna@example.org"


def test_an_accent_written_in_two_ways_is_one_person() -> None:
    assert same_person("jos\u00e9@example.org") == same_person("jose\u0301@example.org")


@pytest.mark.parametrize(
    "other", ["ann@example.org", "anna@example.com", "anna+1@example.org", "anna", "anna@example.org>"]
)
def test_other_people_stay_other_people(other: str) -> None:
    assert same_person(other) != "anna@example.org"


def test_not_knowing_is_nobody() -> None:
    assert people(["Anna@example.org", "anna@example.org", "", " ", "unknown"]) == {"anna@example.org"}


def test_git_is_asked_in_the_folder_that_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(tmp_path / "none"))
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "config", "user.email", "jörg@example.org"], check=True)

    assert git_config_of(tmp_path)("user.email") == "jörg@example.org"
    assert git_config_of(tmp_path)("user.name") is None
    assert git_config_of(tmp_path / "missing")("user.email") is None
