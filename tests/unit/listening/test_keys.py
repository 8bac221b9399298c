"""The webhook's secrets: made once, for one pair of eyes, never printed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatehouse.errors import StorageError
from gatehouse.listening.keys import FILE, keys_in


def test_they_are_made_at_first_use_and_stay_the_same(tmp_path: Path) -> None:
    first = keys_in(tmp_path / "listen")
    assert keys_in(tmp_path / "listen") == first
    assert first != keys_in(tmp_path / "another")


def test_mlflow_can_encrypt_with_the_key(tmp_path: Path) -> None:
    from cryptography.fernet import Fernet

    cipher = Fernet(keys_in(tmp_path).encryption)
    assert cipher.decrypt(cipher.encrypt(b"secret")) == b"secret"


def test_they_are_not_shown(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    assert keys.secret not in f"{keys} {keys!r}"
    assert keys.encryption not in f"{keys} {keys!r}"


@pytest.mark.skipif(os.name != "posix", reason="rights of files are POSIX's")
def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keys_in(tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.name != "posix", reason="rights of files are POSIX's")
def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    keys_in(tmp_path)
    (tmp_path / FILE).chmod(0o640)
    with pytest.raises(StorageError, match="Others may read"):
        keys_in(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"secret": "s"}'])
def test_a_damaged_file_is_never_replaced_in_silence(tmp_path: Path, content: str) -> None:
    keys_in(tmp_path)
    (tmp_path / FILE).write_text(content, encoding="utf-8")
    with pytest.raises(StorageError, match="damaged"):
        keys_in(tmp_path)
    assert (tmp_path / FILE).read_text(encoding="utf-8") == content
