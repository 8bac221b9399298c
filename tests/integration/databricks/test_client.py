"""Who asks a workspace, how often, and what its failures mean: never a token in a message, never a lie about 404."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.integration.databricks.conftest import TOKEN, Hours
from tests.integration.databricks.loopback import Answer, Asked, Loopback, refused

from gatehouse import __version__
from gatehouse.databricks.client import Workspace, open_workspace
from gatehouse.errors import AccessDenied, Busy, ConfigurationError, GatehouseError, Unanswered

ME = "GET /api/2.0/preview/scim/v2/Me"


@pytest.fixture(autouse=True)
def me(server: Loopback) -> None:
    server.on("GET", "/api/2.0/preview/scim/v2/Me", lambda _: {"userName": "alice@example.org"})


def who(workspace: Workspace, **options: Any) -> str | None:
    return workspace.ask("reading who this is", lambda: workspace.sdk.current_user.me().user_name, **options)


@contextmanager
def raised(kind: type[GatehouseError], said: str) -> Iterator[pytest.ExceptionInfo[GatehouseError]]:
    with pytest.raises(kind, match=said) as caught:
        yield caught
    assert TOKEN not in str(caught.value)
    assert caught.value.remedy


def test_a_workspace_is_asked_in_our_name_with_the_environments_token(workspace: Workspace, server: Loopback) -> None:
    assert who(workspace) == "alice@example.org"
    headers = server.to(ME)[0].headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["user-agent"].startswith(f"gatehouse/{__version__} ")


def test_no_workspace_is_named(logged_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DATABRICKS_HOST", "DATABRICKS_TOKEN"):
        monkeypatch.delenv(variable)
    with raised(ConfigurationError, "DATABRICKS_HOST is not set"):
        open_workspace()


def test_nothing_to_log_in_with(logged_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABRICKS_TOKEN")
    monkeypatch.setenv("DATABRICKS_AUTH_TYPE", "pat")
    with raised(AccessDenied, "cannot configure default credentials"):
        open_workspace()


@pytest.mark.parametrize(
    "answer",
    [
        refused(401, "UNAUTHENTICATED", f"Credential {TOKEN} was not sent or was of an unsupported type."),
        refused(403, "PERMISSION_DENIED", "Invalid access token. [ReqId: 1]"),
        refused(403, "403", "The token has expired"),
    ],
)
def test_an_expired_token(workspace: Workspace, server: Loopback, answer: Answer) -> None:
    server.fail(ME, answer)
    with raised(AccessDenied, r"did not accept the credentials \(pat\)") as caught:
        who(workspace)
    assert "DATABRICKS_TOKEN" in caught.value.remedy
    assert server.count(ME) == 1


def test_no_right_is_something_else_than_no_token(workspace: Workspace, server: Loopback) -> None:
    server.fail(ME, refused(403, "PERMISSION_DENIED", "User does not have CAN_MANAGE_RUN on job 11"))
    with raised(AccessDenied, r"does not permit reading who this is: User does not have CAN_MANAGE_RUN on job 11\n"):
        who(workspace)


@pytest.mark.parametrize("status", [429, 503])
def test_what_is_throttled_waits_as_long_as_it_is_told(
    workspace: Workspace, server: Loopback, hours: Hours, status: int
) -> None:
    server.fail(ME, refused(status, "LATER", "slow down", Retry_After="7"))
    assert who(workspace) == "alice@example.org"
    assert [int(seconds) for seconds in hours.slept] == [7]


def test_nobody_waits_for_an_hour_at_once(workspace: Workspace, server: Loopback, hours: Hours) -> None:
    server.fail(ME, refused(429, "LATER", "slow down", Retry_After="3600"))
    assert who(workspace) == "alice@example.org"
    assert hours.slept == [60.0]


@pytest.mark.parametrize(
    "answer",
    [
        refused(500, "INTERNAL_ERROR", "oops"),
        refused(502, "BAD_GATEWAY", "oops"),
        refused(504, "DEADLINE_EXCEEDED", "oops"),
        Answer(content=b"<html>login</html>"),
        Answer(drop="before"),
    ],
)
def test_what_failed_for_the_moment_is_asked_again(workspace: Workspace, server: Loopback, answer: Answer) -> None:
    server.fail(ME, answer, answer)
    assert who(workspace) == "alice@example.org"
    assert server.count(ME) == 3


def test_five_times_is_enough_and_the_pauses_grow(workspace: Workspace, server: Loopback, hours: Hours) -> None:
    server.fail(ME, *[refused(500, "INTERNAL_ERROR", "oops")] * 9)
    with raised(Unanswered, "gave no answer while reading who this is: oops"):
        who(workspace)
    assert (server.count(ME), hours.slept) == (5, [2.0, 4.0, 8.0, 10.0])


def test_what_must_not_happen_twice_is_asked_once(workspace: Workspace, server: Loopback) -> None:
    server.fail(ME, refused(500, "INTERNAL_ERROR", "oops"))
    with raised(Unanswered, "gave no answer while"):
        who(workspace, again=False)
    assert server.count(ME) == 1


def test_an_answer_that_nobody_can_read_is_no_answer(workspace: Workspace, server: Loopback) -> None:
    server.fail(ME, *[Answer(content=b"<html>login</html>")] * 9)
    with raised(Unanswered, "no answer that can be read while"):
        who(workspace)


def test_a_quota_that_stays_used_up_is_told_after_five_minutes(
    workspace: Workspace, server: Loopback, hours: Hours
) -> None:
    server.fail(ME, *[refused(429, "RESOURCE_EXHAUSTED", "Too many runs", Retry_After="50")] * 20)
    with raised(Busy, "has no room for reading who this is: Too many runs"):
        who(workspace)
    assert 300 <= sum(hours.slept) < 360


def test_a_workspace_that_is_not_there_is_given_up_after_five_minutes(
    workspace: Workspace, server: Loopback, hours: Hours
) -> None:
    server.fail(ME, *[Answer(drop="before")] * 90)
    with raised(Unanswered, "gave no answer while"):
        who(workspace)
    assert 300 <= sum(hours.slept) < 360


@pytest.mark.parametrize(("status", "code"), [(404, "NOT_FOUND"), (409, "ALREADY_EXISTS"), (400, "INVALID_STATE")])
def test_a_plain_no_keeps_its_status(workspace: Workspace, server: Loopback, status: int, code: str) -> None:
    server.fail(ME, refused(status, code, "said so"))
    with raised(Unanswered, "refused reading who this is: said so") as caught:
        who(workspace)
    assert getattr(caught.value, "status", None) == status
    assert server.count(ME) == 1


def test_a_mistake_of_ours_is_not_dressed_up(workspace: Workspace) -> None:
    with pytest.raises(ZeroDivisionError):
        workspace.ask("nothing", lambda: 1 / 0)


def exchange(server: Loopback) -> None:
    """What a workspace does with a CI's token: a token of its own for it."""
    endpoints = {name: f"{server.address}/oidc/v1/{name[:5]}" for name in ("token_endpoint", "authorization_endpoint")}
    server.on("GET", "/oidc/.well-known/oauth-authorization-server", lambda _: endpoints)

    def token(asked: Asked) -> Any:
        if b"subject_token=good" not in asked.body:
            return Answer(status=400, content={"error": "invalid_grant", "error_description": "no federation policy"})
        return {"access_token": "minted", "token_type": "Bearer", "expires_in": 3600}

    server.on("POST", "/oidc/v1/token", token)


def in_github(server: Loopback, patch: pytest.MonkeyPatch, token: str) -> None:
    exchange(server)
    server.on("GET", "/github", lambda asked: {"value": token})
    patch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "gh-s3cret")
    patch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{server.address}/github?v=1")
    patch.delenv("DATABRICKS_TOKEN")
    patch.setenv("DATABRICKS_CLIENT_ID", "11111111-2222")
    patch.setenv("DATABRICKS_AUTH_TYPE", "github-oidc")


def test_github_needs_no_secret(logged_in: None, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    in_github(server, monkeypatch, "good")
    assert who(open_workspace(Hours())) == "alice@example.org"
    assert server.to(ME)[0].headers["authorization"] == "Bearer minted"
    assert server.to("GET /github")[0].headers["authorization"] == "Bearer gh-s3cret"


def test_a_subject_that_no_policy_names(logged_in: None, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    in_github(server, monkeypatch, "of another repository")
    with raised(AccessDenied, r"\(github-oidc\): .*no federation policy") as caught:
        who(open_workspace(Hours()))
    assert "id-token: write" in caught.value.remedy


def test_azure_devops_needs_no_secret(logged_in: None, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange(server)
    oidc = "/collection/p1/_apis/distributedtask/hubs/build/plans/l1/jobs/j1/oidctoken"
    server.on("POST", oidc, lambda asked: {"oidcToken": "good"})
    monkeypatch.delenv("DATABRICKS_TOKEN")
    for name, value in {
        "DATABRICKS_CLIENT_ID": "11111111-2222",
        "DATABRICKS_AUTH_TYPE": "azure-devops-oidc",
        "SYSTEM_ACCESSTOKEN": "az-s3cret",
        "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": f"{server.address}/collection/",
        "SYSTEM_TEAMPROJECTID": "p1",
        "SYSTEM_PLANID": "l1",
        "SYSTEM_JOBID": "j1",
        "SYSTEM_HOSTTYPE": "build",
    }.items():
        monkeypatch.setenv(name, value)
    assert who(open_workspace(Hours())) == "alice@example.org"
    assert server.to(ME)[0].headers["authorization"] == "Bearer minted"
