"""Who may come in: names and passwords from a file, asked for by the browser itself (HTTP Basic)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import stat
from collections.abc import Mapping
from pathlib import Path

from mmretrieval.errors import InvalidData, NotFound, UsageError


class Accounts:
    """Names with their passwords; compares in a time that tells nothing."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._digests = {name: _digest(password) for name, password in passwords.items()}

    def admits(self, header: str | None) -> bool:
        """Whether a header `Authorization: Basic …` names an account and its password."""
        scheme, _, coded = (header or "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            name, colon, password = base64.b64decode(coded.strip(), validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        known = self._digests.get(name, bytes(32))
        return hmac.compare_digest(known, _digest(password)) and bool(colon)


def read_accounts(path: Path) -> Accounts:
    """The accounts of a file with lines of NAME:PASSWORD; blank lines and those that begin with # are left aside.

    Raises NotFound without the file, UsageError where others may read it, InvalidData naming the line that is none.
    """
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise NotFound(f"there is no file of accounts {path}") from None
    except UnicodeDecodeError as error:
        raise InvalidData(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{path} holds passwords and others may read it: run chmod 600 {path}")
    passwords: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, password = line.partition(":")
        if not colon or not name.strip() or not password:
            raise InvalidData(f"{path}, line {number}: write each account as NAME:PASSWORD")
        if name.strip() in passwords:
            raise InvalidData(f"{path}, line {number}: the name {name.strip()} stands there twice")
        passwords[name.strip()] = password
    if not passwords:
        raise InvalidData(f"{path} holds no account, so nobody could come in: write lines of NAME:PASSWORD")
    return Accounts(passwords)


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode("utf-8")).digest()
