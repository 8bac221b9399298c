"""Questions to a provider's interface: with a time limit, asked again where that is safe, and no token in a message."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gatehouse.ci.answer import Answer
from gatehouse.errors import Unanswered

if TYPE_CHECKING:
    import requests

TIMEOUT = (10, 60)
"""Seconds to connect, and seconds of silence."""
PAGES = 10
"""Of 100 entries at most; what is older than that is not looked for."""
_AGAIN = (429, 500, 502, 503, 504)
_LONGEST_WAIT = 60
"""Seconds, whatever `Retry-After` says."""


class Api:
    """One provider's interface at one address, asked in the name of one token.

    `wait` is the factor of the pauses between repeated questions, in seconds; only GETs are repeated.
    """

    def __init__(self, base: str, *, provider: str, headers: Mapping[str, str], remedy: str, wait: float = 1.0) -> None:
        self.base = base.rstrip("/")
        self._provider = provider
        self._remedy = remedy
        self._headers = dict(headers)
        self._wait = wait

    def get(self, path: str, /, **parameters: str | int) -> Answer:
        """What is there; Unanswered with the status if nothing is, or nothing may be seen."""
        return self._read(self._call("GET", path, params=parameters), f"GET {path}")

    def find(self, path: str, /, **parameters: str | int) -> Answer | None:
        """The same, and None where nothing is (404)."""
        try:
            return self.get(path, **parameters)
        except Unanswered as error:
            if error.status == 404:
                return None
            raise

    def pages(self, path: str, /, *keys: str, **parameters: str | int) -> Iterator[Answer]:
        """The entries of a list that comes in pages, in its order; `keys` lead to the list."""
        response = self._call("GET", path, params={"per_page": 100, **parameters})
        for _ in range(PAGES):
            yield from self._read(response, f"GET {path}").items(*keys)
            following = response.links.get("next", {}).get("url", "")
            if not following.startswith(self.base + "/"):  # the token goes nowhere else
                return
            response = self._call("GET", following.removeprefix(self.base), params={})

    def send(self, method: str, path: str, body: Any, /, **headers: str) -> Answer:
        """Makes or changes something; never repeated."""
        response = self._call(method, path, json=body, headers=headers or None)
        return self._read(response, f"{method} {path}") if response.content else Answer(None, f"{method} {path}")

    def text(self, path: str, /, *, accept: str, **parameters: str | int) -> bytes:
        """A file as it is."""
        content: bytes = self._call("GET", path, params=parameters, headers={"Accept": accept}).content
        return content

    def fetch(self, address: str, file: Path, *, accept: str = "*/*") -> str:
        """Downloads to a file; returns its SHA-256. A redirect to another host goes without the token."""
        import requests

        total = hashlib.sha256()
        response = self._call("GET", address.removeprefix(self.base), stream=True, headers={"Accept": accept})
        try:
            with response, file.open("wb") as target:
                for block in response.iter_content(2**20):
                    total.update(block)
                    target.write(block)
        except requests.RequestException as error:
            raise self._failed("GET", address, f"broke off: {type(error).__name__}", None) from None
        return total.hexdigest()

    @cached_property
    def _session(self) -> requests.Session:
        """Made when the first question is asked: most commands ask none."""
        return _session(self._headers, self._wait)

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        import requests

        address = path if urlsplit(path).scheme else self.base + path
        if not address.startswith(self.base + "/"):
            raise self._failed(method, path, "was not asked: it is not its own address", None)
        try:
            response = self._session.request(method, address, timeout=TIMEOUT, **options)
        except requests.RequestException as error:
            raise self._failed(method, path, f"gave no answer: {type(error).__name__}", None) from None
        if not response.ok:
            raise self._failed(method, path, f"answered {response.status_code}{_said(response)}", response.status_code)
        return response

    def _read(self, response: requests.Response, asked: str) -> Answer:
        try:
            return Answer(response.json(), asked)
        except ValueError:
            method, _, path = asked.partition(" ")
            raise self._failed(method, path, "gave an answer that is no JSON", response.status_code) from None

    def _failed(self, method: str, path: str, what: str, status: int | None) -> Unanswered:
        place = urlsplit(path)
        return Unanswered(
            f"{self._provider} {what} ({method} {place.path})",  # without what follows `?`, which may be signed
            status=status,
            why="Without its answer nobody knows, and not knowing is never a yes.",
            remedy=self._remedy,
        )


def _session(headers: Mapping[str, str], wait: float) -> requests.Session:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    class Patient(Retry):
        def get_retry_after(self, response: Any) -> float | None:
            asked = super().get_retry_after(response)
            return None if asked is None else min(asked, _LONGEST_WAIT)

    retries = Patient(
        total=4,
        redirect=5,
        status_forcelist=_AGAIN,
        allowed_methods={"GET"},
        backoff_factor=wait,
        raise_on_status=False,
    )
    session = requests.Session()
    session.headers.update({"User-Agent": "gatehouse", **headers})
    session.auth = _as_given  # otherwise a line of ~/.netrc for that host would replace the token
    session.mount("https://", HTTPAdapter(max_retries=retries))
    session.mount("http://", HTTPAdapter(max_retries=retries))
    return session


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _said(response: requests.Response) -> str:
    """The provider's own words, on one line: `: Resource not accessible by integration`."""
    if response.headers.get("x-ratelimit-remaining") == "0":
        return ": its limit of questions is used up"
    try:
        message = response.json().get("message")
    except (ValueError, AttributeError):
        return ""
    words = " ".join(str(message or "").split())[:200]
    return f": {words}" if words else ""
