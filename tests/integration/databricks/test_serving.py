"""A version is loaded, tried, and only then asked; whatever fails before leaves the one before it answering."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from tests.integration.databricks.conftest import Hours
from tests.integration.databricks.loopback import Answer, Loopback, refused
from tests.integration.databricks.serving_api import ROOT, Json, ServingApi

from gatehouse.databricks.client import Workspace
from gatehouse.databricks.endpoint import Endpoint, InferenceTable
from gatehouse.databricks.serving import Rows, Served, Serving
from gatehouse.errors import (
    AccessDenied,
    Busy,
    ConfigurationError,
    PlatformError,
    Refused,
    StateError,
    Unanswered,
    UsageError,
)
from gatehouse.progress import Silent

NAME = "flights-prod"
AT = f"{ROOT}/{NAME}"
TABLE = InferenceTable(catalog="prod", schema="flights", prefix="served")
ENDPOINT = Endpoint(name=NAME, model="prod.flights.delays", project="flights", env="prod", inference_table=TABLE)
ROWS = Rows(columns=["hour", "rain"], data=[[7, 0.5], [22, math.nan]], answers=[7.5, 22.0])
IS_ON = {"enabled": True, "catalog_name": "prod", "schema_name": "flights", "table_name_prefix": "served"}


def model(hour: float, rain: float | None) -> float:
    return hour + (rain or 0)


@pytest.fixture
def api(server: Loopback) -> ServingApi:
    known = ServingApi(server)
    known.models = {str(version): model for version in range(1, 9)}
    return known


@pytest.fixture
def serving(workspace: Workspace, api: ServingApi) -> Serving:
    return Serving(workspace, ENDPOINT, progress=Silent())


def another(workspace: Workspace, **changes: Any) -> Serving:
    return Serving(workspace, dataclasses.replace(ENDPOINT, **changes), progress=Silent(), limit=120)


# --- Serving --------------------------------------------------------------------------------------------------------


def test_the_first_version_makes_the_endpoint(serving: Serving, api: ServingApi, server: Loopback) -> None:
    assert serving.standing() is None
    served = serving.serve("1", ROWS)
    address = f"{server.address}/serving-endpoints/{NAME}/invocations"
    assert served == Served(name=NAME, address=address, traffic={"1": 100}) == serving.standing()
    entity = {
        "name": "v1",
        "entity_name": "prod.flights.delays",
        "entity_version": "1",
        "workload_size": "Small",
        "workload_type": "CPU",
        "scale_to_zero_enabled": True,
    }
    routes = [{"served_entity_name": "v1", "traffic_percentage": 100}]
    assert server.to(f"POST {ROOT}")[0].body == {
        "name": NAME,
        "tags": [{"key": "gatehouse_project", "value": "flights"}, {"key": "gatehouse_env", "value": "prod"}],
        "config": {"name": NAME, "served_entities": [entity], "traffic_config": {"routes": routes}},
        "ai_gateway": {"inference_table_config": IS_ON},
    }


def test_the_next_one_is_tried_before_it_is_asked(serving: Serving, api: ServingApi, server: Loopback) -> None:
    serving.serve("1", ROWS)
    assert dict(serving.serve("2", ROWS).traffic) == {"1": 0, "2": 100}
    beside, moved = (asked["traffic_config"]["routes"] for asked in server.to(f"PUT {AT}/config"))
    assert [route["traffic_percentage"] for route in beside] == [100, 0]
    assert [route["traffic_percentage"] for route in moved] == [0, 100]
    assert [version for version, _ in api.asked] == ["1", "2"]
    split = {"columns": ["hour", "rain"], "data": [[7, 0.5], [22, None]]}
    assert api.asked[-1][1] == {"dataframe_split": split}
    order = [f"{asked.method} {asked.path}" for asked in server.asked]
    tried = order.index(f"POST /serving-endpoints/{NAME}/served-models/v2/invocations")
    assert [index for index, question in enumerate(order) if question == f"PUT {AT}/config"][1] > tried


def test_only_the_one_before_stays_loaded(serving: Serving) -> None:
    for version in ("1", "2", "3"):
        served = serving.serve(version, ROWS)
    assert dict(served.traffic) == {"2": 0, "3": 100}


def test_what_is_served_already_is_only_tried_again(serving: Serving, api: ServingApi, server: Loopback) -> None:
    serving.serve("1", ROWS)
    assert dict(serving.serve("1", ROWS).traffic) == {"1": 100}
    assert (server.count(f"PUT {AT}/config"), len(api.asked)) == (0, 2)


def test_a_version_that_is_loaded_keeps_its_size(workspace: Workspace, serving: Serving, api: ServingApi) -> None:
    serving.serve("1", ROWS)
    another(workspace, workload_size="Large", scale_to_zero=False).serve("2", ROWS)
    sizes = {e["name"]: e["workload_size"] for e in api.endpoints[NAME]["config"]["served_entities"]}
    assert sizes == {"v1": "Small", "v2": "Large"}


def test_how_it_gets_ready_is_told(workspace: Workspace, api: ServingApi) -> None:
    told = Silent()
    Serving(workspace, ENDPOINT, progress=told).serve("1", ROWS)
    assert told.notes == ["IN_PROGRESS; v1: DEPLOYMENT_CREATING", "NOT_UPDATING"]


# --- Trying ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        lambda hour, rain: hour + 1e-5,
        lambda hour, rain: None,
        lambda hour, rain: "late",
        lambda hour, rain: [hour, hour],
        lambda hour, rain: [],
    ],
)
def test_other_answers_than_the_models_move_no_traffic(serving: Serving, api: ServingApi, wrong: Any) -> None:
    serving.serve("1", ROWS)
    api.models["2"] = wrong
    with pytest.raises(Refused, match="Version 2 on the endpoint flights-prod does not answer as the model does"):
        serving.serve("2", ROWS)
    assert api.traffic(NAME) == {"1": 100}


def test_answers_may_differ_by_the_tolerance_and_come_as_records(serving: Serving, api: ServingApi) -> None:
    api.models["1"] = lambda hour, rain: {"prediction": model(hour, rain) + 1e-7}
    assert dict(serving.serve("1", ROWS).traffic) == {"1": 100}


def test_without_rows_nothing_is_proven(serving: Serving, api: ServingApi) -> None:
    serving.serve("1", ROWS)
    with pytest.raises(Refused, match="0 numbers for 0"):
        serving.serve("2", Rows(columns=["hour", "rain"], data=[], answers=[]))
    assert api.traffic(NAME) == {"1": 100}


def test_a_version_that_raises_moves_no_traffic(serving: Serving, api: ServingApi) -> None:
    serving.serve("1", ROWS)
    api.models["2"] = refused(400, "BAD_REQUEST", "Encountered an unexpected error while evaluating the model.")
    with pytest.raises(Unanswered, match="refused asking version 2: Encountered"):
        serving.serve("2", ROWS)
    assert api.traffic(NAME) == {"1": 100}


def test_a_first_version_that_answers_wrongly_leaves_no_endpoint(serving: Serving, api: ServingApi) -> None:
    api.models["1"] = lambda hour, rain: 0
    with pytest.raises(Refused):
        serving.serve("1", ROWS)
    assert (api.endpoints, api.deleted) == ({}, [NAME])


def test_what_cannot_be_undone_is_told_beside_the_reason(
    workspace: Workspace, api: ServingApi, server: Loopback
) -> None:
    told = Silent()
    api.models["1"] = lambda hour, rain: 0
    server.fail(f"DELETE {AT}", refused(403, "PERMISSION_DENIED", "not yours"))
    with pytest.raises(Refused):
        Serving(workspace, ENDPOINT, progress=told).serve("1", ROWS)
    assert told.notes[-1].startswith("version 1 stays loaded: ")


# --- Failing --------------------------------------------------------------------------------------------------------


def test_a_version_that_does_not_become_ready_leaves_the_old_one_answering(serving: Serving, api: ServingApi) -> None:
    serving.serve("1", ROWS)
    api.failing = {"2"}
    with pytest.raises(PlatformError, match=r"UPDATE_FAILED; v2: DEPLOYMENT_FAILED \(no such package\)") as caught:
        serving.serve("2", ROWS)
    assert caught.value.remedy == f"databricks serving-endpoints build-logs {NAME} v2"
    assert api.traffic(NAME) == {"1": 100}
    assert dict(serving.serve("3", ROWS).traffic) == {"1": 0, "3": 100}


def test_a_first_version_that_failed_makes_place_for_the_next(serving: Serving, api: ServingApi) -> None:
    api.failing = {"1"}
    with pytest.raises(PlatformError, match="UPDATE_FAILED"):
        serving.serve("1", ROWS)
    assert api.deleted == []
    assert dict(serving.serve("2", ROWS).traffic) == {"2": 100}


def test_an_update_that_takes_too_long_leaves_the_old_one_answering_and_the_next_call_goes_on(
    workspace: Workspace, serving: Serving, api: ServingApi, server: Loopback, hours: Hours
) -> None:
    serving.serve("1", ROWS)
    api.looks, start = 40, hours.now
    with pytest.raises(PlatformError, match="not ready within 120 seconds: IN_PROGRESS; v2: DEPLOYMENT_CREATING"):
        another(workspace).serve("2", ROWS)
    assert 120 <= hours.now - start < 140
    assert api.traffic(NAME) == {"1": 100}
    api.looks = 2
    assert dict(serving.serve("2", ROWS).traffic) == {"1": 0, "2": 100}
    assert server.count(f"PUT {AT}/config") == 2


def test_a_state_that_nobody_knows_is_waited_with_until_the_time_is_over(
    workspace: Workspace, serving: Serving, api: ServingApi
) -> None:
    serving.serve("1", ROWS)
    api.endpoints[NAME]["state"]["config_update"] = "SPLENDID"
    with pytest.raises(PlatformError, match="not ready within 120 seconds: UNKNOWN"):
        another(workspace).serve("2", ROWS)


@pytest.mark.parametrize("fault", [Answer(drop="after"), Answer(drop="before")])
def test_a_change_whose_answer_was_lost_is_made_once(
    serving: Serving, api: ServingApi, server: Loopback, fault: Answer
) -> None:
    server.fail(f"POST {ROOT}", fault)
    server.fail(f"PUT {AT}/config", fault)
    serving.serve("1", ROWS)
    assert dict(serving.serve("2", ROWS).traffic) == {"1": 0, "2": 100}
    assert api.endpoints[NAME]["config"]["config_version"] == 3


def test_an_endpoint_of_somebody_else_is_not_touched(
    workspace: Workspace, serving: Serving, api: ServingApi, server: Loopback
) -> None:
    another(workspace, project="weather").serve("1", ROWS)
    before = dict(api.endpoints[NAME])
    for call in (
        lambda: serving.serve("2", ROWS),
        lambda: serving.split("1", "2", 10, ROWS),
        lambda: serving.rollback("1"),
        serving.standing,
    ):
        with pytest.raises(StateError, match="is not this project's: it lacks the tags gatehouse_project=flights"):
            call()
    assert (api.endpoints[NAME], server.count(f"PUT {AT}/config"), api.deleted) == (before, 0, [])


def test_somebody_elses_change_between_trying_and_moving_is_seen(serving: Serving, api: ServingApi) -> None:
    serving.serve("1", ROWS)

    def meanwhile(hour: float, rain: float | None) -> float:
        api.endpoints[NAME]["config"]["config_version"] = 99
        return model(hour, rain)

    api.models["2"] = meanwhile
    with pytest.raises(Busy, match="Somebody else changed the endpoint"):
        serving.serve("2", ROWS)
    assert api.traffic(NAME) == {"1": 100, "2": 0}


def test_an_update_that_others_overwrote_is_not_waited_for(serving: Serving, api: ServingApi, server: Loopback) -> None:
    serving.serve("1", ROWS)
    server.fail(f"PUT {AT}/config", Answer(content={"name": NAME}))
    with pytest.raises(Busy, match="has another configuration than the one it was given"):
        serving.serve("2", ROWS)
    assert api.traffic(NAME) == {"1": 100}


def test_no_right_to_change_it(serving: Serving, server: Loopback) -> None:
    serving.serve("1", ROWS)
    server.fail(f"PUT {AT}/config", refused(403, "PERMISSION_DENIED", "needs CAN_MANAGE"))
    with pytest.raises(AccessDenied, match="does not permit changing the endpoint flights-prod"):
        serving.serve("2", ROWS)


CHANGE, TRIAL, LOOK = f"PUT {AT}/config", f"POST /serving-endpoints/{NAME}/served-models/v2/invocations", f"GET {AT}"
BROKEN, EXPIRED = refused(500, "INTERNAL_ERROR", "Oops"), refused(401, "UNAUTHENTICATED", "The token has expired")


@pytest.mark.parametrize(
    ("at", "answer", "error"),
    [
        (CHANGE, refused(429, "RESOURCE_EXHAUSTED", "The quota of endpoints is used up"), Busy),
        (CHANGE, BROKEN, Unanswered),
        (CHANGE, EXPIRED, AccessDenied),
        (CHANGE, Answer(drop="before"), Unanswered),
        (TRIAL, BROKEN, Unanswered),
        (TRIAL, EXPIRED, AccessDenied),
        (LOOK, BROKEN, Unanswered),
    ],
)
def test_whatever_fails_leaves_the_traffic_where_it_was(
    at: str, answer: Answer, error: type[Exception], serving: Serving, api: ServingApi, server: Loopback
) -> None:
    serving.serve("1", ROWS)
    server.fail(at, *[answer] * 1000)
    with pytest.raises(error):
        serving.serve("2", ROWS)
    assert api.traffic(NAME) == {"1": 100}


def test_an_endpoint_that_vanishes_on_the_way(serving: Serving, api: ServingApi) -> None:
    serving.serve("1", ROWS)

    def vanishing(hour: float, rain: float | None) -> float:
        api.endpoints.pop(NAME, None)
        return model(hour, rain)

    api.models["2"] = vanishing
    with pytest.raises(StateError, match="There is no endpoint flights-prod"):
        serving.serve("2", Rows(columns=["hour", "rain"], data=[[7, 0.5]], answers=[7.5]))


# --- Splitting and going back ---------------------------------------------------------------------------------------


def test_a_challenger_gets_its_share_after_it_was_tried(serving: Serving, api: ServingApi) -> None:
    serving.serve("1", ROWS)
    assert dict(serving.split("1", "2", 10, ROWS).traffic) == {"1": 90, "2": 10}
    assert dict(serving.split("1", "2", 50, ROWS).traffic) == {"1": 50, "2": 50}
    assert dict(serving.serve("2", ROWS).traffic) == {"1": 0, "2": 100}


def test_a_challenger_that_answers_wrongly_gets_nothing(serving: Serving, api: ServingApi) -> None:
    serving.serve("1", ROWS)
    api.models["2"] = lambda hour, rain: 0
    with pytest.raises(Refused):
        serving.split("1", "2", 10, ROWS)
    assert api.traffic(NAME) == {"1": 100}


@pytest.mark.parametrize(("challenger", "percent"), [("2", -1), ("2", 101), ("1", 10)])
def test_what_is_no_split(serving: Serving, server: Loopback, challenger: str, percent: int) -> None:
    with pytest.raises(UsageError, match="is no split"):
        serving.split("1", challenger, percent, ROWS)
    assert server.asked[1:] == []


def test_a_champion_that_is_not_loaded_shares_nothing(serving: Serving, api: ServingApi) -> None:
    serving.serve("1", ROWS)
    with pytest.raises(StateError, match="Version 3 is not loaded on the endpoint flights-prod: 1 is"):
        serving.split("3", "2", 10, ROWS)
    assert api.traffic(NAME) == {"1": 100}


def test_the_way_back_is_one_change_of_the_traffic(serving: Serving, server: Loopback) -> None:
    serving.serve("1", ROWS)
    serving.serve("2", ROWS)
    before = server.count(f"PUT {AT}/config")
    assert dict(serving.rollback("1").traffic) == {"1": 100, "2": 0}
    assert server.count(f"PUT {AT}/config") == before + 1


def test_the_way_back_needs_a_version_that_is_loaded(serving: Serving, api: ServingApi) -> None:
    with pytest.raises(StateError, match="There is no endpoint"):
        serving.rollback("1")
    serving.serve("2", ROWS)
    with pytest.raises(StateError, match="Version 1 is not loaded"):
        serving.rollback("1")
    assert api.traffic(NAME) == {"2": 100}


def test_a_split_with_a_challenger_that_broke_leaves_its_share_to_the_champion(
    serving: Serving, api: ServingApi
) -> None:
    serving.serve("1", ROWS)
    serving.split("1", "2", 10, ROWS)
    api.endpoints[NAME]["config"]["served_entities"][1]["state"]["deployment"] = "DEPLOYMENT_FAILED"
    assert dict(serving.serve("3", ROWS).traffic) == {"1": 0, "3": 100}


# --- The inference table --------------------------------------------------------------------------------------------


def gateway(api: ServingApi) -> Json:
    config: Json = api.endpoints[NAME].get("ai_gateway", {})
    return config


def test_the_table_is_asked_for_again_with_a_later_version(
    workspace: Workspace, serving: Serving, api: ServingApi
) -> None:
    another(workspace, inference_table=None).serve("1", ROWS)
    assert gateway(api) == {}
    serving.serve("2", ROWS)
    assert gateway(api) == {"inference_table_config": IS_ON}


def test_a_table_that_is_on_is_left_alone(serving: Serving, server: Loopback) -> None:
    serving.serve("1", ROWS)
    serving.serve("2", ROWS)
    assert server.count(f"PUT {AT}/ai-gateway") == 0


def test_a_table_moves_while_it_is_off_and_other_settings_stay(
    workspace: Workspace, serving: Serving, api: ServingApi
) -> None:
    serving.serve("1", ROWS)
    limits = [{"calls": 10, "renewal_period": "minute", "key": "user"}]
    api.endpoints[NAME]["ai_gateway"]["rate_limits"] = limits
    another(workspace, inference_table=InferenceTable(catalog="prod", schema="logs", prefix="served")).serve("2", ROWS)
    assert gateway(api) == {"inference_table_config": IS_ON | {"schema_name": "logs"}, "rate_limits": limits}


# --- Names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a/b", "../jobs", "a b", "x" * 64])
def test_a_name_that_is_no_part_of_an_address_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no name for a serving endpoint"):
        dataclasses.replace(ENDPOINT, name=name)


def test_a_version_is_a_number(serving: Serving, server: Loopback) -> None:
    with pytest.raises(StateError, match=r"is no version of prod\.flights\.delays"):
        serving.serve("1/../2", ROWS)
