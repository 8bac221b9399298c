"""What copier.yml runs in a fresh copy: `gatehouse rename`, with the standard library alone.

Nothing is installed yet where Copier runs. In an update it runs over the project of somebody: only files of the
template are touched, as Copier has just put them there; whoever edited them gets these edits back from Copier.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)


def main(arguments: list[str]) -> int:
    """The exit code."""
    if sys.version_info[:2] < OLDEST:
        sys.stderr.write("Copier has to run on Python 3.11 or newer: uvx --python 3.12 copier copy --trust ...\n")
        return 1
    sys.path.insert(0, str(TEMPLATE / "src"))
    from gatehouse.errors import GatehouseError
    from gatehouse.fork.files import read, tracked
    from gatehouse.fork.project import Choices, renamed
    from gatehouse.fork.writing import write

    asked = _parsed(arguments)
    try:
        copied = read(TEMPLATE, tracked(TEMPLATE))
        choices = Choices(
            name=asked.name,
            providers=tuple(asked.ci.split(",")),
            catalogs=dict(pair.split("=", 1) for pair in asked.environments.split(",")),
            staging_branch=asked.staging_branch,
            remove_example=asked.remove_example,
        )
        write(Path.cwd(), copied, renamed(copied, choices), over=True)
    except GatehouseError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    return 0


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--ci", required=True)
    parser.add_argument("--environments", required=True)
    parser.add_argument("--staging-branch", required=True)
    example = parser.add_mutually_exclusive_group(required=True)
    example.add_argument("--remove-example", action="store_true")
    example.add_argument("--keep-example", dest="remove_example", action="store_false")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
