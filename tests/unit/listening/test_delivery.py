"""What a delivery has to be for anything to happen. The signatures are made by MLflow's own code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatehouse.listening.delivery import DELIVERY, SIGNATURE, TIMESTAMP, Delivery, Rejected, read, sign

MODEL, SECRET = "prod.temperature.temperature", "a secret that nobody else has"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def event(**differing: Any) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": MODEL,
        "version": "3",
        "source": "models:/m-1",
        "run_id": None,
        "tags": {},
        "description": None,
    }
    content = {"entity": "model_version", "action": "created", "timestamp": NOW.isoformat(), "data": data}
    return {**content, **differing}


def delivered(
    body: bytes | dict[str, Any], *, at: datetime = NOW, key: str = SECRET, headers: Mapping[str, str] | None = None
) -> Delivery | Rejected:
    from mlflow.webhooks.delivery import _generate_hmac_signature

    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    stamp = str(int(at.timestamp()))
    signature = _generate_hmac_signature(key, "d-1", stamp, sent.decode("utf-8", "replace"))
    given = {DELIVERY: "d-1", TIMESTAMP: stamp, SIGNATURE: signature, **(headers or {})}
    return read(lambda name: given.get(name, ""), sent, secret=SECRET, model=MODEL, now=NOW)


def refused(answer: Delivery | Rejected) -> int:
    assert isinstance(answer, Rejected), answer
    assert SECRET not in answer.reason
    return answer.status


def test_what_mlflow_sends_is_understood() -> None:
    assert delivered(event()) == Delivery(id="d-1", version="3")


def test_what_is_signed_here_is_what_mlflow_signs() -> None:
    from mlflow.webhooks.delivery import _generate_hmac_signature

    body = json.dumps(event())
    assert sign(SECRET, "d-1", "1700000000", body.encode()) == _generate_hmac_signature(
        SECRET, "d-1", "1700000000", body
    )


def test_the_names_of_mlflows_headers_are_these() -> None:
    from mlflow.webhooks import constants

    assert (SIGNATURE, TIMESTAMP, DELIVERY) == (
        constants.WEBHOOK_SIGNATURE_HEADER,
        constants.WEBHOOK_TIMESTAMP_HEADER,
        constants.WEBHOOK_DELIVERY_ID_HEADER,
    )


@pytest.mark.parametrize(
    "headers",
    [
        {SIGNATURE: ""},
        {SIGNATURE: "v1,"},
        {SIGNATURE: "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        {SIGNATURE: "ü"},
        {DELIVERY: ""},
        {DELIVERY: "another"},
        {TIMESTAMP: ""},
        {TIMESTAMP: "-1"},
        {TIMESTAMP: "1e9"},
        {TIMESTAMP: "٣"},
        {TIMESTAMP: str(int(NOW.timestamp()) - 1)},
    ],
)
def test_a_signature_that_does_not_fit_every_part_is_none(headers: dict[str, str]) -> None:
    assert refused(delivered(event(), headers=headers)) == 401


def test_another_secret_is_not_ours() -> None:
    assert refused(delivered(event(), key="guessed")) == 401


def test_a_body_that_was_changed_on_the_way_is_refused() -> None:
    stamp = str(int(NOW.timestamp()))
    given = {DELIVERY: "d-1", TIMESTAMP: stamp, SIGNATURE: sign(SECRET, "d-1", stamp, json.dumps(event()).encode())}
    changed = json.dumps(event()).replace('"3"', '"4"').encode()
    answer = read(lambda name: given.get(name, ""), changed, secret=SECRET, model=MODEL, now=NOW)
    assert refused(answer) == 401


@pytest.mark.parametrize(("seconds", "heard"), [(300, True), (301, False), (-300, True), (-301, False)])
def test_a_delivery_counts_for_five_minutes(seconds: int, heard: bool) -> None:
    answer = delivered(event(), at=NOW - timedelta(seconds=seconds))
    assert isinstance(answer, Delivery) is heard


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff\xfe", 401),  # what is no text cannot have been signed by MLflow
        (b"[]", 400),
        (b"null", 400),
        (event(data=[]), 400),
        (event(entity="prompt"), 422),
        (event(action="deleted"), 422),
        (event(entity="model_version_tag", action="set"), 422),
        (event(data={"name": "dev.temperature.temperature", "version": "3"}), 404),
        (event(data={"version": "3"}), 404),
        (event(data={"name": MODEL}), 400),
        (event(data={"name": MODEL, "version": "../3"}), 400),
        (event(data={"name": MODEL, "version": "0"}), 400),
        (event(data={"name": MODEL, "version": True}), 400),
        (event(data={"name": MODEL, "version": "1" * 20}), 400),
    ],
)
def test_what_is_signed_and_still_none_of_our_business_says_why(body: bytes | dict[str, Any], status: int) -> None:
    assert refused(delivered(body)) == status
