"""Finds the API key, and says what is wrong with it without ever showing it.

Order: a credential handed over by the service manager, then the file the configuration names, then
the environment. A credential is meant for this very process and is not inherited; a variable is the
easiest to leak, so it comes last.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from publisher_daemon.config._values import Secret
from publisher_daemon.errors import ConfigInvalid

_ENOUGH = 8192
_PRINTABLE = re.compile(r"[!-~]+")
#: as udata makes them: 64 characters after their prefix (portal-facts §1.1), or a JWT of old
_KEY = re.compile(r"udata_[\w-]{40,}|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}", re.ASCII)
#: shorter “keys” are words: of another file that was named by mistake, for one
_SHORTEST = 20
#: What is treated as a secret wherever it goes.
_MAY_HOLD_IT = {
    ("portal", "api_key"),
    ("portal", "proxy"),
    ("alerts", "to"),
    ("alerts", "heartbeat"),
}
_HOW = (
    "Put the key in a file only the service can read and name it in `[portal] api_key_file`, or "
    "hand it over as the systemd credential `api-key`, or set PUBLISHER_PORTAL__API_KEY."
)


def read_api_key(credentials: Iterable[Path], file: Path | None, inline: Secret | None) -> str:
    """The first key found; raises ConfigInvalid when there is none or it cannot be one."""
    for credential in credentials:
        if credential.is_file():
            # its mode is not checked: the service manager's affair (systemd 257: 0440 and an ACL)
            return _clean(_read(credential, f"the credential {credential}"), f"{credential}")
    if file is not None:
        shown = presentable(file)
        text = _read(file, f"api_key_file {shown}")
        _refuse_if_open(file, shown)
        return _clean(text, f"api_key_file {shown}")
    if inline is not None:
        return _clean(inline.text, "the API key of the configuration")
    raise ConfigInvalid("there is no API key.", hint=_HOW)


def known_keys(
    credentials: Iterable[Path], file: Path | None, inline: Secret | None
) -> tuple[str, ...]:
    """Every key there is, used or not, right or not: what must never be written anywhere."""
    places = [*credentials] if file is None else [*credentials, file]
    found = [] if inline is None else [inline.text.strip()]
    for place in places:
        with contextlib.suppress(ConfigInvalid):
            found += _read(place, "").split()
    return tuple(key for key in found if key)


def looks_like_a_key(text: str) -> bool:
    """Whether this may be a key that somebody wrote where another setting belongs."""
    return re.search(r"udata_|eyJ|(?:^|/)[\w.+=-]{40,}$", text, re.ASCII) is not None


def misplaced(
    values: object, keys: Collection[str], where: tuple[str | int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    """Where a key stands among settings that others get to read: a title, a tag, a path."""
    if where in _MAY_HOLD_IT:
        return
    if isinstance(values, dict):
        for name, value in values.items():
            if _holds_a_key(str(name), keys):
                yield where  # its own name would show it
            yield from misplaced(value, keys, (*where, name))
    elif isinstance(values, list):
        for index, value in enumerate(values):
            yield from misplaced(value, keys, (*where, index))
    elif isinstance(values, str) and _holds_a_key(values, keys):
        yield where


def _holds_a_key(text: str, keys: Collection[str]) -> bool:
    return _KEY.search(text) is not None or any(
        key in text for key in keys if len(key) >= _SHORTEST
    )


def without_keys(text: str) -> str:
    """The text with anything of a key's shape taken out: a key may even stand as a name."""
    return re.sub(r"(?:udata_|eyJ)[\w.+=-]{10,}", "(hidden)", text, flags=re.ASCII)


def presentable(file: Path) -> str:
    """The path, unless somebody wrote the key itself where its path belongs."""
    if looks_like_a_key(str(file)):
        return "(hidden: this looks like a key, not like a path)"
    return str(file)


def _read(file: Path, what: str) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_ENOUGH + 1)
    except OSError as error:
        raise ConfigInvalid(f"{what} cannot be read: {error.strerror}.", hint=_HOW) from None
    if len(content) > _ENOUGH:
        raise ConfigInvalid(f"{what} is too long to be a key.", hint=_HOW)
    # latin-1 reads anything: what is not printable ASCII is refused, unseen, just after
    return content.decode("latin-1")


def _refuse_if_open(file: Path, shown: str) -> None:
    mode = file.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigInvalid(
            f"api_key_file {shown} can be read or changed by other accounts (mode {mode:04o}).",
            hint=f"Run: chmod 600 {shown}",
        )


def _clean(text: str, what: str) -> str:
    key = text.strip()
    if not key:
        raise ConfigInvalid(f"{what} is empty.", hint=_HOW)
    if not _PRINTABLE.fullmatch(key):
        raise ConfigInvalid(
            f"{what} holds blanks or characters that no key has.",
            hint="It must hold the key alone, on one line, as the portal showed it.",
        )
    return key
