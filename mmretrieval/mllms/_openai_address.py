"""Which model on which server, and the key, which comes from the environment and is shown nowhere."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from mmretrieval.errors import MissingPrerequisite, UsageError

_HOW = "write it as openai:MODEL@URL, as in openai:qwen3-vl@http://127.0.0.1:8000/v1"
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Address:
    """A model's name, and its server's base address without a slash at the end, as in "http://127.0.0.1:8000/v1".

    `key_variable` names the environment variable with the server's key; empty for the usual one.
    """

    model: str
    url: str
    key_variable: str = ""

    @property
    def on_this_machine(self) -> bool:
        return urlsplit(self.url).hostname in _HERE

    @property
    def root(self) -> str:
        """Where a server keeps what is not part of OpenAI's protocol."""
        return self.url.removesuffix("/v1")


def parse_address(text: str) -> Address:
    """MODEL@URL or MODEL@URL?key_variable=NAME; a URL without a path means the usual /v1.

    Raises UsageError when it is not of that form, or carries a password, another query or a fragment; the message
    leaves the address out then, since it may hold a secret.
    """
    found = re.fullmatch(r"\s*(?P<model>[^\s]+?)@(?P<url>https?://\S+?)/*\s*", text)
    if not found:
        raise UsageError(f"no model and server are named: {_HOW}")
    url, _, variable = found["url"].partition("?key_variable=")
    url = url.rstrip("/")
    try:
        pieces = urlsplit(url)
        usable = bool(pieces.hostname) and pieces.port != 0
    except ValueError:
        raise UsageError(f"the server's address is not understood: {_HOW}") from None
    if (
        pieces.username is not None
        or pieces.password is not None
        or pieces.query
        or pieces.fragment
        or (variable and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", variable))
    ):
        raise UsageError(
            f"the server's address must be plain, without user, password or query: {_HOW}, and put the key into the "
            "environment variable OPENAI_API_KEY, or name another one: openai:MODEL@URL?key_variable=NAME"
        )
    if not usable:
        raise UsageError(f"the server's address is not understood: {_HOW}")
    return Address(found["model"], url if pieces.path else f"{url}/v1", variable)


def key_in(variable: str, *, needed: bool) -> str:
    """The key that the environment holds under this name; empty when it holds none, which many servers allow.

    Raises MissingPrerequisite for a `needed` one that is not there, UsageError for one that cannot be sent.
    """
    key = os.environ.get(variable, "").strip()
    if needed and not key:
        raise MissingPrerequisite(f"the environment variable {variable} holds no key: export {variable}=...")
    if not re.fullmatch(r"[!-~]*", key):
        raise UsageError(f"the key in the environment variable {variable} holds blanks or other signs no key has")
    return key
