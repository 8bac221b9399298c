"""`gatehouse reject`."""

from __future__ import annotations

from gatehouse.cli.approve import decision_command

command = decision_command("reject", "Reject a judged version: it cannot be promoted any more, whoever approves it.")
