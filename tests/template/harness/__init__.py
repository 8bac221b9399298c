"""Executes the workflows of both CI providers on this machine, offline, and raises on what it does not know.

GitHub: `github_triggers` says which workflows an event starts, `act` runs them on `github_api`, `github_hub` is the
repository on GitHub as a whole. Azure: `azure_templates` expands, `azure_run` runs on `azure_api`. `graph` reads both
providers' files into one graph of jobs.
"""

from __future__ import annotations

from tests.loopback import NotUnderstood

__all__ = ["NotUnderstood"]
