"""How a workspace says no: a status, a code of its API, and a sentence."""

from __future__ import annotations

from tests.loopback import Reply


class Refusal(Exception):
    """Becomes the reply `{"error_code": .., "message": ..}`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def reply(self) -> Reply:
        return Reply(status=self.status, json={"error_code": self.code, "message": self.message})


def missing(what: str, *, code: str = "RESOURCE_DOES_NOT_EXIST") -> Refusal:
    return Refusal(404, code, f"{what} does not exist.")


def invalid(message: str) -> Refusal:
    return Refusal(400, "INVALID_PARAMETER_VALUE", message)


def denied(message: str) -> Refusal:
    return Refusal(403, "PERMISSION_DENIED", message)
