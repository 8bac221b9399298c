from __future__ import annotations

from datetime import UTC, datetime

from gatehouse.pipelines.windows import Windows, windows
from gatehouse.settings import TrainingFile

AS_OF = datetime(2013, 4, 1, 6, tzinfo=UTC)


def test_the_hold_out_ends_at_as_of_and_the_last_training_days_validate() -> None:
    settings = TrainingFile(hold_out_days=28, validation_days=14, history_days=60)

    assert windows(AS_OF, settings) == Windows(
        train_start=datetime(2013, 1, 3, 6, tzinfo=UTC),
        validation_start=datetime(2013, 2, 18, 6, tzinfo=UTC),
        train_end=datetime(2013, 3, 4, 6, tzinfo=UTC),
        hold_out_end=AS_OF,
    )


def test_history_without_a_limit_reaches_back_further_than_any_data() -> None:
    settings = TrainingFile(hold_out_days=28, validation_days=14)

    assert windows(AS_OF, settings).train_start == datetime(1900, 1, 1, tzinfo=UTC)


def test_a_hold_out_of_no_days_trains_up_to_as_of() -> None:
    settings = TrainingFile(hold_out_days=28, validation_days=14, history_days=60)

    assert windows(AS_OF, settings, hold_out_days=0) == Windows(
        train_start=datetime(2013, 1, 31, 6, tzinfo=UTC),
        validation_start=datetime(2013, 3, 18, 6, tzinfo=UTC),
        train_end=AS_OF,
        hold_out_end=AS_OF,
    )
