"""A project may declare every name but those that the machinery gives to something itself."""

from __future__ import annotations

from flight_delays import PROJECT
from gatehouse.lakehouse.audit import AUDIT_LOG
from gatehouse.pipelines.dataset import EVENT_TIME, LABEL_KNOWN_AT, UNIT
from gatehouse.pipelines.tables import SYSTEM_TABLES, predictions_table, quarantine_table
from gatehouse.project.names import OF_A_DATA_SET, OF_A_QUARANTINE, OF_THE_INFERENCE_LOG, OF_THE_MACHINERY


def test_names_that_cannot_be_declared_are_those_that_are_added() -> None:
    log, declared = predictions_table(PROJECT), PROJECT.event_table
    assert {EVENT_TIME, UNIT, LABEL_KNOWN_AT} == OF_A_DATA_SET
    added = {*log.names} - {*declared.primary_key, *PROJECT.features}
    assert added - OF_A_DATA_SET == OF_THE_INFERENCE_LOG
    assert {*quarantine_table(declared).names} - {*declared.names} == OF_A_QUARANTINE
    assert {table.name for table in (*SYSTEM_TABLES, AUDIT_LOG, log)} == OF_THE_MACHINERY
