"""The card of a version: what the project says of itself, and what training measured, in one place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from gatehouse.lakehouse.lineage import Lineage
from gatehouse.project import Project
from gatehouse.reports.card import model_card

LINEAGE = Lineage(
    project="parcels",
    environment="prod",
    proposer="ada@example.org",
    as_of=datetime(2013, 4, 1, 6, tzinfo=UTC),
    train_start=datetime(2013, 1, 1, tzinfo=UTC),
    train_end=datetime(2013, 3, 4, 6, tzinfo=UTC),
    hold_out_end=datetime(2013, 4, 1, 6, tzinfo=UTC),
    code_commit="4f2a" * 10,
    code_digest="c" * 64,
    configuration_digest="d" * 64,
    data_versions={"prod.main.parcels": 3, "prod.main.depots": 1},
    options={"num_leaves": 31, "depth": 4},
    seed=2013,
    training_key="e" * 64,
)


def test_a_card_says_what_it_is_for_what_it_was_made_of_and_how_well_it_does(project: Project) -> None:
    described = replace(
        project,
        name="parcels",
        description="Will a parcel be late?",
        owner="post@example.org",
        intended_use="Planning.",
        limitations="One | year.",
    )

    card = model_card(
        described,
        LINEAGE,
        {"log_loss": 0.43215, "roc_auc": 0.75},
        {"log_loss": 0.5, "roc_auc": 0.61},
        {"weight": 0.1, "depot": 0.25},
        rows=77_606,
    )

    assert (
        card
        == f"""# parcels

Will a parcel be late?

## Intended use

Planning.

## Limitations

One | year.

## Owner

post@example.org

## Training data

77,606 events from 2013-01-01 to 2013-03-04, as known at 2013-04-01 06:00 UTC.

| table | version |
|---|---|
| prod.main.parcels | 3 |
| prod.main.depots | 1 |

## What is predicted

{project.label.name}: {project.label.description}

## Metrics on the hold-out

2013-03-04 to 2013-04-01, which it was not trained on.

| metric | model | baseline |
|---|---|---|
| log_loss | 0.4321 | 0.5000 |
| roc_auc | 0.7500 | 0.6100 |

## What the model leans on

Mean absolute contribution to the raw score.

| feature | contribution |
|---|---|
| depot | 0.2500 |
| weight | 0.1000 |

## How it was made

|  |  |
|---|---|
| code | {"4f2a" * 10} |
| training code digest | cccccccccccccccc |
| configuration digest | dddddddddddddddd |
| seed | 2013 |
| proposed by | ada@example.org |
| option depth | 4 |
| option num_leaves | 31 |
"""
    )


def test_what_nobody_gave_is_said_to_be_missing(project: Project) -> None:
    bare = replace(project, owner="", intended_use="", limitations="")

    card = model_card(bare, LINEAGE, {}, {}, {}, rows=0)

    for title in ("Intended use", "Limitations", "Owner"):
        assert f"## {title}\n\n(not given)\n" in card
    assert "## Metrics on the hold-out\n\nNo hold-out was kept back for this version.\n" in card
    assert "Mean absolute contribution to the raw score.\n\n(not given)\n" in card


def test_only_the_ten_features_it_leans_on_most_are_listed(project: Project) -> None:
    importances = {f"feature_{n}": float(n) for n in range(12)}

    card = model_card(project, LINEAGE, {}, {}, importances, rows=0)

    listed = [line.split(" | ")[0].removeprefix("| ") for line in card.splitlines() if line.startswith("| feature_")]
    assert listed == [f"feature_{n}" for n in range(11, 1, -1)]
