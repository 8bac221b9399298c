from __future__ import annotations

from pathlib import Path

import pytest

from gatehouse.errors import StateError, StorageError
from gatehouse.fork.files import File, read
from gatehouse.fork.names import Name
from gatehouse.fork.writing import changes, write

BEFORE = {
    "keep.txt": File(b"k"),
    "edit.txt": File(b"old"),
    "src/flight_delays/a.py": File(b"a"),
    "bench/b.py": File(b"b"),
}
AFTER = {
    "keep.txt": File(b"k"),
    "edit.txt": File(b"new"),
    "src/zebras/a.py": File(b"a2"),
    "src/zebras/run": File(b"#!", executable=True),
    "link": File(b"keep.txt", link=True),
    "dos.txt": File(b"a\nb\n", crlf=True),
}


def on_disk(root: Path) -> dict[str, File]:
    names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_symlink() or p.is_file())
    return read(root, tuple(names))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, {}, BEFORE)
    return tmp_path


def test_changes_are_told_by_kind() -> None:
    found = changes(BEFORE, AFTER, Name("zebras"))

    assert found.lines() == [
        "move    src/flight_delays/a.py -> src/zebras/a.py",
        "change  edit.txt",
        "add     dos.txt",
        "add     link",
        "add     src/zebras/run",
        "remove  bench/b.py",
    ]
    assert str(found) == "1 files moved, 1 changed, 3 added, 1 removed"


def test_the_folder_holds_what_was_decided_and_empty_folders_go(root: Path) -> None:
    (root / "src/flight_delays/__pycache__").mkdir()
    (root / "src/flight_delays/__pycache__/a.pyc").write_bytes(b"")
    (root / "bench/notes.txt").write_text("not git's")

    write(root, BEFORE, AFTER)

    assert on_disk(root) == {**AFTER, "bench/notes.txt": File(b"not git's")}
    assert sorted(p.name for p in root.iterdir()) == ["bench", "dos.txt", "edit.txt", "keep.txt", "link", "src"]
    assert [p.name for p in (root / "src").iterdir()] == ["zebras"]


def test_a_file_that_git_does_not_know_is_not_overwritten(root: Path) -> None:
    (root / "link").write_text("mine")

    with pytest.raises(StateError, match="link is in the way"):
        write(root, BEFORE, AFTER)

    assert on_disk(root) == {**BEFORE, "link": File(b"mine")}


def test_over_a_project_of_somebody_it_is(root: Path) -> None:
    (root / "src/zebras").mkdir()
    (root / "src/zebras/a.py").write_text("edited")
    (root / "src/zebras/own.py").write_text("own")

    write(root, BEFORE, AFTER, over=True)

    assert on_disk(root) == {**AFTER, "src/zebras/own.py": File(b"own")}


@pytest.mark.parametrize("survived", range(8))
def test_an_error_at_any_move_leaves_everything_as_it_was(
    root: Path, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves, replace = iter(range(100)), Path.replace

    def failing(self: Path, target: Path) -> Path:
        if next(moves) == survived:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)

    with pytest.raises(StorageError, match="No space left"):
        write(root, BEFORE, AFTER)

    assert on_disk(root) == BEFORE
    assert sorted(p.name for p in root.iterdir()) == ["bench", "edit.txt", "keep.txt", "src"]
    assert [p.name for p in (root / "src").iterdir()] == ["flight_delays"]


def test_a_folder_that_cannot_be_written_is_an_error_of_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="could not be written"):
        write(tmp_path / "nowhere", {}, AFTER)
