from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flight_delays import PROJECT
from gatehouse.lakehouse.lineage import Lineage
from gatehouse.reports.card import model_card
