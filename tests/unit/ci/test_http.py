"""Questions to an interface: repeated where that is safe, only to its own pages, and the token goes nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.ci.conftest import Interface

from gatehouse.ci.http import Api
from gatehouse.errors import Unanswered


def api(interface: Interface) -> Api:
    return Api(
        interface.address, provider="GitHub", headers={"Authorization": "Bearer s3cret"}, remedy="Ask again.", wait=0
    )


@contextmanager
def unanswered(said: str) -> Iterator[None]:
    with pytest.raises(Unanswered, match=said) as caught:
        yield
    assert "s3cret" not in str(caught.value)
    assert caught.value.remedy == "Ask again."


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_question_that_failed_for_the_moment_is_asked_again(interface: Interface, status: int) -> None:
    interface.on("GET /a", status=status, Retry_After="0")
    interface.on("GET /a", {"b": 1})

    assert api(interface).get("/a", c="d e").number("b") == 1
    assert [asked.query for asked in interface.asked] == [{"c": "d e"}] * 2


def test_a_question_is_not_asked_for_ever(interface: Interface) -> None:
    interface.on("GET /a", status=503)

    with unanswered(r"GitHub answered 503 \(GET /a\)"):
        api(interface).get("/a")
    assert len(interface.asked) == 5


def test_what_changes_something_is_never_repeated(interface: Interface) -> None:
    interface.on("POST /a", status=503)

    with unanswered(r"GitHub answered 503 \(POST /a\)"):
        api(interface).send("POST", "/a", {"b": 1})
    assert [asked.body for asked in interface.asked] == [{"b": 1}]


def test_what_is_forbidden_is_not_asked_again(interface: Interface) -> None:
    interface.on("GET /a", {"message": "Not\nfor you"}, status=403)

    with unanswered(r"GitHub answered 403: Not for you \(GET /a\)"):
        api(interface).get("/a")
    assert len(interface.asked) == 1


def test_a_used_up_limit_is_told_as_that(interface: Interface) -> None:
    interface.on("GET /a", {"message": "API rate limit exceeded"}, status=403, x_ratelimit_remaining="0")

    with unanswered("403: its limit of questions is used up"):
        api(interface).get("/a")


def test_no_answer_at_all_is_told_without_the_token() -> None:
    with pytest.raises(Unanswered, match=r"GitHub gave no answer: ConnectionError \(GET /a\)") as caught:
        Api("http://127.0.0.1:9", provider="GitHub", headers={}, remedy="", wait=0).get("/a")
    assert caught.value.status is None


def test_what_is_not_there_can_be_looked_for(interface: Interface) -> None:
    interface.on("GET /b", status=403)

    assert api(interface).find("/a") is None
    with unanswered("403"):
        api(interface).find("/b")


def test_pages_are_read_one_after_the_other(interface: Interface) -> None:
    interface.on("GET /a", {"all": [1, 2]}, Link=f'<{interface.address}/a?page=2>; rel="next"')
    interface.on("GET /a", {"all": [3]})

    assert [entry.number() for entry in api(interface).pages("/a", "all", name="n")] == [1, 2, 3]
    assert [asked.query for asked in interface.asked] == [{"name": "n", "per_page": "100"}, {"page": "2"}]


def test_the_token_does_not_follow_a_page_elsewhere(interface: Interface) -> None:
    interface.on("GET /a", [1], Link='<http://127.0.0.2:1/a?page=2>; rel="next"')

    assert [entry.number() for entry in api(interface).pages("/a")] == [1]


def test_a_list_without_an_end_is_left_after_ten_pages(interface: Interface) -> None:
    interface.on("GET /a", [1], Link=f'<{interface.address}/a?page=9>; rel="next"')

    assert len(list(api(interface).pages("/a"))) == 10


def test_a_download_goes_to_its_store_without_the_token(interface: Interface, tmp_path: Path) -> None:
    store = interface.address.replace("127.0.0.1", "localhost")
    interface.on("GET /zip", status=302, Location=f"{store}/store?sig=signed")
    interface.on("GET /store", b"content")

    digest = api(interface).fetch("/zip", tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == b"content"
    assert digest == hashlib.sha256(b"content").hexdigest()
    assert ["authorization" in asked.headers for asked in interface.asked] == [True, False]


def test_a_password_file_of_the_machine_does_not_replace_the_token(
    interface: Interface, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    interface.on("GET /a", {"b": 1})

    api(interface).get("/a")

    assert [asked.headers["authorization"] for asked in interface.asked] == ["Bearer s3cret"]


def test_an_address_of_somebody_else_is_not_asked(interface: Interface, tmp_path: Path) -> None:
    with unanswered(r"was not asked: it is not its own address \(GET /x\)"):
        api(interface).fetch("http://127.0.0.1.evil.example/x?sig=signed", tmp_path / "file")
