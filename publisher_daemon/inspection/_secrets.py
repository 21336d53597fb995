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
    (b"PRIVATE KEY BLOCK", re.compile(rb"-----BEGIN PGP PRIVATE KEY BLOCK-----"), "a private key"),
    (b"PuTTY-User", re.compile(rb"\bPuTTY-User-Key-File-\d"), "a private key"),
    (
        b"eyJ",
        re.compile(rb"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}"),
        "an access token (JWT)",
    ),
    # the very key of this service, beside the data it publishes: 64 characters (portal-facts §1.1)
    (b"udata_", re.compile(rb"\budata_[\w-]{40,}"), "an API key of the portal"),
    (b"AKIA", re.compile(rb"\bAKIA[0-9A-Z]{16}\b"), "an Amazon access key"),
    *(
        (b"gh%c_" % kind, re.compile(rb"\bgh%c_[0-9A-Za-z]{36}" % kind), "a GitHub token")
        for kind in b"opsur"
    ),
    (b"github_pat_", re.compile(rb"\bgithub_pat_\w{40,}"), "a GitHub token"),
    (b"glpat-", re.compile(rb"\bglpat-[\w-]{20}"), "a GitLab token"),
    *(
        (b"xox%c-" % kind, re.compile(rb"\bxox%c-[\w-]{20,}" % kind), "a Slack token")
        for kind in b"abprs"
    ),
    (b"AIza", re.compile(rb"\bAIza[\w-]{35}"), "a Google API key"),
    (b"sk_live_", re.compile(rb"\bsk_live_\w{16,}"), "a payment service's secret key"),
    (b"npm_", re.compile(rb"\bnpm_[0-9A-Za-z]{36}"), "an access token"),
    (b"hf_", re.compile(rb"\bhf_[0-9A-Za-z]{34}"), "an access token"),
    (b"sk-proj-", re.compile(rb"\bsk-proj-[\w-]{40,}"), "an access token"),
    (b"sk-ant-", re.compile(rb"\bsk-ant-[\w-]{40,}"), "an access token"),
    (
        b"earer ",
        re.compile(rb"\b[Bb]earer (?=[\w.~+/-]*\d)(?=[\w.~+/-]*[A-Za-z])[\w.~+/-]{24,}"),
        "an access token",
    ),
)
_LINE = re.compile(
    rb"^[ \t]*(?:export[ \t]+)?[A-Z][A-Z0-9_]*(?:PASSWORD|PASSWD|SECRET|API_KEY|APIKEY|TOKEN|"
    rb"ACCESS_KEY)[A-Z0-9_]*[ \t]*=[ \t]*"
    rb"(?:[^\s;,]{6,}|\"[^\"\r\n]{6,}\"|'[^'\r\n]{6,}')[ \t]*\r?$",
    re.MULTILINE,
)
#: The same in YAML, INI and JSON; a value with a digit or a sign in it, for “password: required”
#: is the description of one.
_NAMED = (
    rb"(?:[\w.-]{0,64}[._-])?(?:password|passwd|secret_?key|client_?secret|api_?key|"
    rb"access_?token|auth_?token|mot_?de_?passe)"
)
_SETTING = re.compile(
    rb"^[ \t-]*" + _NAMED + rb"[ \t]*[:=][ \t]*([\"']?)(?=[^\r\n]*?[\d!@#$%&*])"
    rb"[^\s;,\"'{}<>$()\[\]]{6,}\1[ \t]*\r?$"
    rb'|"' + _NAMED + rb'"\s*:\s*"(?=[^"]*[\d!@#$%&*])[^"\s{}<>]{6,}"',
    re.MULTILINE | re.IGNORECASE,
)
#: One of these is in whatever they match.
WORDS = (b"passw", b"pwd", b"secret", b"api", b"token", b"passe")
#: A key in a link, as those copy it who try an API.
_QUERY = re.compile(
    rb"[?&](?:api_?key|access_token|auth_token|token|password|pwd|secret)="
    rb"(?=[\w.~%-]*\d)[\w.~%-]{16,}",
    re.IGNORECASE,
)
#: Columns that by their name hold passwords, and keys.
_PASSWORDS = re.compile(r"(?:user_?)?(?:password|passwd|pwd|mot_?de_?passe|mdp)", re.IGNORECASE)
_KEYS = re.compile(
    r"(?:\w+_)?(?:api_?key|api_?token|access_?token|auth_?token|token|jeton|secret|secret_?key|"
    r"client_?secret|cle_?api|clé_?api)",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(?!null$|none$|nan$|oui$|non$|true$|false$)[^\s*]{4,}", re.IGNORECASE)
_KEY = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w+/=.~-]{16,}")
_LINK = re.compile(rb"\b[a-z][a-z0-9+]{2,15}://[^\s:/@,;]{1,64}:[^\s:/@,;]{3,64}@[\w.-]+")
#: Files up to this many bytes are searched for every sign; of larger ones, the rarer signs only in
#: the parts that are sampled.
ALL_SIGNS = 32 * 1024 * 1024
OVERLAP = 400
SAMPLE = 16 * 1024


def keeper_of(name: str) -> re.Pattern[str] | None:
    """What a value of this column is like if it is a password or a key; None for other columns."""
    plain = name.strip().replace(" ", "_").replace("-", "_")
    if _PASSWORDS.fullmatch(plain):
        return _PASSWORD
    return _KEY if _KEYS.fullmatch(plain) else None


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
        plain = text.lower()
        is_named = any(word in plain for word in WORDS)
        if b"://" in text:
            self._note("a link with a user's password", text, _LINK.search(text))
            self._note("a link with a key in it", text, is_named and _QUERY.search(text))
        what = "a password or key of a configuration file"
        self._note(what, text, b"=" in text and _LINE.search(text))
        self._note(what, text, is_named and _SETTING.search(text))
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

    def _note(self, what: str, text: bytes, found: re.Match[bytes] | bool | None) -> None:
        if isinstance(found, re.Match):
            self._found.setdefault(what, self._line(text, found))

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
