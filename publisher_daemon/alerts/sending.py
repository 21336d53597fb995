"""Sends letters through apprise, and signs of life to whoever listens for them.

One address after the other, each until it took the letter: a chat that is down must not make the
mail come twice. An address is a secret (it holds passwords): the ledger keeps its digest only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from urllib.parse import urlsplit

import requests
import structlog

from publisher_daemon.alerts.values import Letter, Memory

log = structlog.get_logger(__name__)

#: The first wait after a failure, the longest one, and when a letter is given up, in seconds.
FIRST, LONGEST, TOO_OLD = 60.0, 3600.0, 3 * 86400.0
#: Letters kept while nobody takes them.
MOST = 50
#: How long a sign of life may take, in seconds.
PATIENCE = 10.0


def unusable(addresses: Sequence[str]) -> tuple[int, ...]:
    """Which of the addresses apprise does not understand, counted from 1."""
    import apprise  # noqa: PLC0415 - a quarter of a second, only where somebody is to be told

    return tuple(
        number
        for number, address in enumerate(addresses, 1)
        if apprise.Apprise.instantiate(address) is None
    )


class Post:
    """Takes letters to their addresses."""

    def __init__(self, addresses: Sequence[str], sent: Callable[[bool], None]) -> None:
        self._addresses = {digest(address): address for address in addresses}
        self._sent = sent

    @property
    def addresses(self) -> tuple[str, ...]:
        """The digests of all the addresses."""
        return tuple(self._addresses)

    def deliver(self, memory: Memory, now: float) -> bool:
        """Try every letter that is due; True when something about them changed."""
        kept: list[Letter] = []
        tried = False
        for letter in memory.letters[-MOST:]:
            left = tuple(one for one in letter.left if one in self._addresses)
            if not left or now < letter.again:
                kept += [letter] if left else []
                continue
            tried = True
            still = tuple(one for one in left if not self._send(self._addresses[one], letter))
            if still and now - letter.at < TOO_OLD:
                wait = min(LONGEST, FIRST * 2.0**letter.failures)
                kept.append(
                    replace(letter, left=still, again=now + wait, failures=letter.failures + 1)
                )
        tried = tried or len(kept) != len(memory.letters)
        memory.letters = kept
        return tried

    def _send(self, address: str, letter: Letter) -> bool:
        import apprise  # noqa: PLC0415

        scheme = urlsplit(address).scheme
        if scheme.startswith("mailto") and "format=" not in address:
            address += ("&" if "?" in address else "?") + "format=text"
        asset = apprise.AppriseAsset(app_id="publisher-daemon", app_desc="publisher-daemon")
        target = apprise.Apprise(asset=asset)
        target.add(address)
        well = bool(
            target.notify(
                title=letter.subject, body=letter.body, body_format=apprise.NotifyFormat.TEXT
            )
        )
        self._sent(well)
        if well:
            log.info("message.sent", to=scheme, subject=letter.subject)
        else:
            log.warning(
                "message.failed",
                to=scheme,
                subject=letter.subject,
                why="The address did not take the message; it is tried again for three days.",
            )
        return well


class Heartbeats:
    """Asks one address regularly, for whoever sounds an alarm when that stops."""

    def __init__(self, url: str, every: float, sent: Callable[[bool], None]) -> None:
        self._url, self._every, self._sent = url, every, sent
        self._next = float("-inf")
        self._well = True

    def beat(self, now: float) -> None:
        """Say that all is well, if it is time."""
        if now < self._next:
            return
        self._next = now + self._every
        well, why = False, ""
        try:
            answer = requests.get(self._url, timeout=PATIENCE, allow_redirects=False)
            well = answer.status_code < 300
            why = f"the address answers {answer.status_code}"
        except requests.RequestException as error:
            why = type(error).__name__  # its text would show the address, which is a secret
        self._sent(well)
        if not well and self._well:
            log.warning("heartbeat.failed", why=why)
        self._well = well


def digest(address: str) -> str:
    """What stands for an address where it may not be written."""
    return sha256(address.encode()).hexdigest()[:16]
