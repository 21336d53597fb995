"""What must never be published: private keys, API tokens, passwords of configuration files."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from publisher_daemon.inspection._opening import order_of_utf16
from publisher_daemon.profile import Finding

#: Literal beginnings that are cheap to look for in every block, and what confirms each.
_SIGNS: tuple[tuple[bytes, re.Pattern[bytes], str], ...] = (
    (b"PRIVATE KEY-----", re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (
        b"eyJ",
        re.compile(rb"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}"),
        "an access token (JWT)",
    ),
    # the very key of this service, beside the data it publishes: 64 characters (portal-facts §1.1)
    (b"udata_", re.compile(rb"\budata_[\w-]{40,}"), "an API key of the portal"),
    (b"AKIA", re.compile(rb"\bAKIA[0-9A-Z]{16}\b"), "an Amazon access key"),
    (b"ghp_", re.compile(rb"\bghp_[0-9A-Za-z]{36}"), "a GitHub token"),
    (b"github_pat_", re.compile(rb"\bgithub_pat_\w{40,}"), "a GitHub token"),
    (b"glpat-", re.compile(rb"\bglpat-[\w-]{20}"), "a GitLab token"),
    (b"xoxb-", re.compile(rb"\bxoxb-[\w-]{20,}"), "a Slack token"),
    (b"AIza", re.compile(rb"\bAIza[\w-]{35}"), "a Google API key"),
    (b"sk_live_", re.compile(rb"\bsk_live_\w{16,}"), "a payment service's secret key"),
)
_LINE = re.compile(
    rb"^[ \t]*(?:export[ \t]+)?[A-Z][A-Z0-9_]*(?:PASSWORD|PASSWD|SECRET|API_KEY|APIKEY|TOKEN|"
    rb"ACCESS_KEY)[A-Z0-9_]*[ \t]*=[ \t]*[^\s;,]{6,}[ \t]*\r?$",
    re.MULTILINE,
)
_LINK = re.compile(rb"\b[a-z][a-z0-9+]{2,15}://[^\s:/@,;]{1,64}:[^\s:/@,;]{3,64}@[\w.-]+")
#: Files up to this many bytes are searched for every sign; of larger ones, the rarer signs only in
#: the parts that are sampled.
ALL_SIGNS = 32 * 1024 * 1024
OVERLAP = 400
SAMPLE = 64 * 1024


class Secrets:
    """Looks at the blocks of a file one after the other."""

    def __init__(self, size: int) -> None:
        self._whole = size <= ALL_SIGNS
        self._tail = b""
        self._lines = 0
        #: whether it is UTF-16, of which every other byte is zero
        self._wide: bool | None = None
        self._found: dict[str, int] = {}

    def feed(self, block: bytes, *, sampled: bool) -> None:
        """Look at the next block."""
        if self._wide is None:
            marked = block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            self._wide = marked or order_of_utf16(block) is not None
        if self._wide:
            block = block.replace(b"\0", b"")
        if not self._whole:
            self._rarely(block, sampled=sampled)
            return
        text = self._tail + block
        self._search(text, _SIGNS)
        if b"://" in text and (found := _LINK.search(text)):
            self._found.setdefault("a link with a user's password", self._line(text, found))
        if b"=" in text and (found := _LINE.search(text)):
            what = "a password or key of a configuration file"
            self._found.setdefault(what, self._line(text, found))
        self._lines += text.count(b"\n", 0, max(0, len(text) - OVERLAP))
        self._tail = text[-OVERLAP:]

    def _rarely(self, block: bytes, *, sampled: bool) -> None:
        """Look at a block of a large file, without copying it."""
        if sampled:
            self._search(block[:SAMPLE], _SIGNS)
        # many tables do without one of these letters: looking for one costs nearly nothing
        if b"V" in block and b"K" in block and b"Y" in block:
            self._search(block, _SIGNS[:1])
        if b"-----" in (edge := self._tail + block[:OVERLAP]):
            self._search(edge, _SIGNS[:1])
        self._tail = block[-OVERLAP:]

    def _search(self, text: bytes, signs: tuple[tuple[bytes, re.Pattern[bytes], str], ...]) -> None:
        for literal, pattern, what in signs:
            if what not in self._found and literal in text and (found := pattern.search(text)):
                self._found[what] = self._line(text, found)

    def _line(self, text: bytes, found: re.Match[bytes]) -> int:
        return self._lines + text.count(b"\n", 0, found.start()) + 1

    def findings(self) -> Iterator[Finding]:
        """What was found, without ever showing it."""
        for what, line in self._found.items():
            why = (
                f"It seems to contain {what}. Once published it must be taken as known to "
                "everybody: remove it, and replace it where it is used."
            )
            if self._whole:
                why = (
                    f"It seems to contain {what}, in line {line:,}. Once published it must be "
                    "taken as known to everybody: remove it, and replace it where it is used."
                )
            yield Finding("secret", why)
