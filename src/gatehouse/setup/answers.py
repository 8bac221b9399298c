"""conf/setup.yml: what setup cannot find out by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gatehouse.settings import Name, read_file
from gatehouse.setup.roles import APPROVAL

Address = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:-]+/?$", max_length=200)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/@-]*$", max_length=128)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Account(_Closed):
    """The Databricks account."""

    host: Address = Field(description="https://accounts.cloud.databricks.com, or that of your cloud.")
    id: str = Field(pattern=r"^[0-9a-fA-F-]{36}$", description="The account's identifier.")


class Workspace(_Closed):
    """A workspace that an environment works in."""

    host: Address
    id: int | None = Field(default=None, ge=1, description="Its number; null: access to it is given by hand.")


class SetupFile(_Closed):
    """conf/setup.yml"""

    account: Account | None = Field(
        default=None, description="null: the account's part is printed, to be done by hand."
    )
    workspaces: dict[Name, tuple[Workspace, ...]] = Field(
        default={}, description="Of each environment on Databricks; several for development. The first one is asked."
    )
    given_catalogs: tuple[Name, ...] = Field(
        default=(), description="Catalogs that exist already: used, never made, never removed."
    )
    given_principals: tuple[Word, ...] = Field(
        default=(), description="Service principals of this project that somebody made by hand: used, never removed."
    )
    warehouse: Word | None = Field(
        default=None, description="SQL warehouse for the grants that have no other way; null: they are done by hand."
    )
    reviewers: tuple[Word, ...] = Field(
        default=(),
        description="Who approves: on GitHub accounts, and teams as organisation/team; on Azure DevOps identities.",
    )
    pipelines: dict[str, tuple[str, ...]] = Field(
        default={}, description="Azure DevOps: the pipelines that act for an environment. Each is an identity there."
    )
    source: Literal["github", "azure"] | None = Field(
        default=None, description="Who runs the CI; null: whoever the git remote belongs to."
    )

    @model_validator(mode="after")
    def _few_policies(self) -> SetupFile:
        for name in {environment.removesuffix(APPROVAL) for environment in self.pipelines}:
            pipelines = {*self.pipelines.get(name, ()), *self.pipelines.get(f"{name}{APPROVAL}", ())}
            if len(pipelines) > 20:
                raise ValueError(f"{name} has {len(pipelines)} pipelines, and a service principal 20 policies at most")
        return self


def read_answers(conf: Path) -> SetupFile:
    """The file, or nothing given where there is none."""
    path = conf / "setup.yml"
    return read_file(path, SetupFile) if path.exists() else SetupFile()
