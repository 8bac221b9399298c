from __future__ import annotations

import pytest

from gatehouse.errors import UsageError
from gatehouse.fork.configuration import (
    catalogs,
    checked_branch,
    drift_alert,
    second_bundle,
    with_bundle,
    with_catalogs,
    with_staging_branch,
)

ENVIRONMENTS = """\
project: x:PROJECT
environments:
  dev:
    catalog: dev
    sources_from: prod

  # Ours: prod is the catalog of another
  prod:
    catalog: prod   # Unity Catalog's
    replay: {start: 2013-07-01}
other:
  catalog: untouched
"""


def test_catalogs_are_read_and_written_by_environment() -> None:
    changed = with_catalogs(ENVIRONMENTS, {"prod": "ml_prod"})

    assert catalogs(ENVIRONMENTS) == {"dev": "dev", "prod": "prod"}
    assert catalogs(changed) == {"dev": "dev", "prod": "ml_prod"}
    assert changed == ENVIRONMENTS.replace("catalog: prod   #", "catalog: ml_prod   #")


BUNDLE = """\
variables:
  package:
    description: The distribution.
    default: gatehouse
  catalog:
    description: As in conf.
targets:
  dev:
    variables:
      catalog: dev
  prod:
    git:
      branch: main # a comment
    variables:
      catalog: prod # another
"""


def test_the_bundle_gets_distribution_catalogs_and_branch() -> None:
    changed = with_bundle(BUNDLE, {"prod": "ml_prod"}, distribution="tram-delays", branch="develop")

    assert changed == (
        BUNDLE.replace("default: gatehouse", "default: tram-delays")
        .replace("branch: main #", "branch: develop #")
        .replace("catalog: prod #", "catalog: ml_prod #")
    )


def test_a_second_bundle_has_its_own_name_schema_and_limit() -> None:
    text = (
        "bundle:\n  name: flights # as in conf\n  engine: direct\nsync:\n  paths: [conf, notebooks] # here\n"
        "variables:\n  schema:\n    description: Of.\n    default: flights\n"
        "  drift_alert:\n    description: From.\n    default: 0.25\n  mirror:\n    description: X.\n    default: P\n"
    )

    assert second_bundle(text, "buses", drift_alert=drift_alert("drift_warning: 0.2\ndrift_alert: 0.5\n")) == (
        text.replace("flights", "buses")
        .replace("[conf, notebooks] # here", "[conf] # the rest is in the wheel")
        .replace("0.25", "0.5")
    )


@pytest.mark.parametrize("wanted", [{"production": "x"}, {"prod": "ml-prod"}, {"prod": ""}, {"prod": "a.b"}])
def test_an_environment_or_catalog_that_cannot_be_is_refused(wanted: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        with_catalogs(ENVIRONMENTS, wanted)


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("    branches: [main] # the main branch\n", "    branches: [develop] # the main branch\n"),
        ('    branches: ["main", "release/**"]\n', '    branches: ["develop", "release/**"]\n'),
        ("branches:\n  include:\n    - main\n    - main2\n", "branches:\n  include:\n    - develop\n    - main2\n"),
        ("      ref: main\n", "      ref: develop\n"),
        ("if: github.ref == 'refs/heads/main'\n", "if: github.ref == 'refs/heads/develop'\n"),
        ("name: main\n  main:\n    needs: main\n", "name: main\n  main:\n    needs: main\n"),
        ("branches: [maintenance, domain/main]\n", "branches: [maintenance, domain/main]\n"),
        ("branches:\n- main\nsteps:\n- main\n", "branches:\n- develop\nsteps:\n- main\n"),
    ],
)
def test_triggers_and_refs_name_the_staging_branch_and_jobs_keep_their_names(text: str, becomes: str) -> None:
    assert with_staging_branch(text, "develop") == becomes


@pytest.mark.parametrize("branch", ["", "-x", "a b", "$(id)", "a..b", "x/", "x.lock", "a;b", "${{ x }}", "a\n"])
def test_a_branch_that_could_mean_something_else_is_refused(branch: str) -> None:
    with pytest.raises(UsageError):
        checked_branch(branch)


def test_the_configuration_names_the_branch_too() -> None:
    text = "project: buses:PROJECT\nstaging_branch: main  # tested by every merge\nenvironments: {}\n"
    assert with_staging_branch(text, "develop") == text.replace("main", "develop")
