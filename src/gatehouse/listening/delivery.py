"""Is this delivery one of MLflow's, recent, and about a new version of our model? Pure: request in, answer out.

MLflow signs as Standard Webhooks (standardwebhooks.com) do: `v1,` and the base64 of HMAC-SHA256 over
`delivery id.unix timestamp.body`, with the webhook's secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

SIGNATURE, TIMESTAMP, DELIVERY = "X-MLflow-Signature", "X-MLflow-Timestamp", "X-MLflow-Delivery-Id"
TOLERANCE_SECONDS = 300
"""How old, or how far ahead, a delivery may be; the same as Standard Webhooks' libraries allow."""
MAX_BODY = 1 << 20
"""Bytes. A version's description and tags are in it: a model card is about ten thousand."""
ENTITY, ACTION = "model_version", "created"

_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_ID = re.compile(r"[\x21-\x7e]{1,100}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """Version `version` of our model was made. `id` is the delivery's own."""

    id: str
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """Why nothing happens, with HTTP's status for it."""

    status: int
    reason: str


def sign(secret: str, delivery: str, timestamp: str, body: bytes) -> str:
    """The signature that MLflow would send."""
    signed = b".".join((delivery.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def read(header: Callable[[str], str], body: bytes, *, secret: str, model: str, now: datetime) -> Delivery | Rejected:
    """What a request says, once it is known to be MLflow's. `header` gives the value of one, empty if it is missing."""
    delivery, timestamp = header(DELIVERY), header(TIMESTAMP)
    if not _ID.fullmatch(delivery) or not _TIMESTAMP.fullmatch(timestamp):
        return Rejected(status=401, reason=f"{DELIVERY} or {TIMESTAMP} is missing or malformed")
    wanted = sign(secret, delivery, timestamp, body).encode()
    if not hmac.compare_digest(wanted, header(SIGNATURE).encode("utf-8", "replace")):
        return Rejected(status=401, reason="the signature is not that of our webhook's secret")
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        return Rejected(status=401, reason=f"it was signed over {TOLERANCE_SECONDS} s ago, or in the future")
    try:
        event = json.loads(body)
    except ValueError:
        return Rejected(status=400, reason="the body is not JSON")
    data = event.get("data") if isinstance(event, dict) else None
    if not isinstance(data, dict):
        return Rejected(status=400, reason="the body is no event")
    if (event.get("entity"), event.get("action")) != (ENTITY, ACTION):
        return Rejected(status=422, reason="the event is not that a model version was created")
    if data.get("name") != model:
        return Rejected(status=404, reason="the model is not the one that is listened for")
    version = data.get("version")
    if not isinstance(version, str | int) or isinstance(version, bool) or not _VERSION.fullmatch(str(version)):
        return Rejected(status=400, reason="the version is no whole number")
    return Delivery(id=delivery, version=str(version))
