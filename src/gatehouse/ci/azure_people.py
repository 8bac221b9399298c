"""Whose e-mail address one is, by the identities of an organisation of Azure DevOps."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from gatehouse.ci.answer import Answer
from gatehouse.ci.azure_approval import VERSION
from gatehouse.ci.http import Api
from gatehouse.ci.provider import unique
from gatehouse.errors import Unanswered

_FILTERS = {"MailAddress": "Mail", "AccountName": "Account"}
"""How to search, and the property that must then be the address."""


class People:
    """Asked in the name of the run; every address once. `collection` is the organisation's address."""

    def __init__(self, collection: str, *, headers: Mapping[str, str], remedy: str, wait: float) -> None:
        self._api = Api(identities_at(collection), provider="Azure DevOps", headers=headers, remedy=remedy, wait=wait)
        self._known: dict[str, tuple[str, ...]] = {}

    def owners(self, address: str) -> tuple[str, ...]:
        """Names and number of those whose address it is; none where the organisation does not say."""
        if address not in self._known:
            try:
                self._known[address] = unique(*(name for key in _FILTERS for name in self._found(key, address)))
            except Unanswered:  # then nobody knows whose it is, and that is what the caller is told
                self._known[address] = ()
        return self._known[address]

    def _found(self, key: str, address: str) -> tuple[str, ...]:
        listed = self._api.get("/_apis/identities", searchFilter=key, filterValue=address, **VERSION).items("value")
        return unique(*(name for found in listed if _is_of(found, _FILTERS[key], address) for name in _names(found)))


def identities_at(collection: str) -> str:
    """Where an organisation keeps its identities: beside it in the cloud, in itself on a server of one's own."""
    place = urlsplit(collection)
    if place.hostname == "dev.azure.com":
        return f"https://vssps.dev.azure.com{place.path}"
    organisation, dot, rest = (place.hostname or "").partition(".")
    if dot and rest == "visualstudio.com":
        return f"https://{organisation}.vssps.visualstudio.com{place.path}"
    return collection


def _is_of(found: Answer, name: str, address: str) -> bool:
    """Whether it is a person, and the property is the address: searches find what resembles it, too."""
    group = found.maybe("isContainer")
    return not (group and group.flag()) and _property(found, name).casefold() == address.casefold()


def _names(found: Answer) -> tuple[str, ...]:
    return found.identifier("id"), *(_property(found, name) for name in _FILTERS.values())


def _property(found: Answer, name: str) -> str:
    return found.maybe_text("properties", name, "$value")
