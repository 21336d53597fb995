"""How a text is written: its encoding, and the letters and signs that show that it came to harm."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import replace

from publisher_daemon.inspection._opening import order_of_utf16, without_marks
from publisher_daemon.profile import Finding, Profile

#: Read in the wrong encoding: UTF-8 as Windows-1252; old Macs' and DOS's as Windows-1252.
_GARBLED = re.compile(
    "Ã[\u00a0-¿]|Â[°«»\u00a0]|â€[™œ“]|ï¿½|\ufffd|(?<=[a-z])[Žž™‡\u02c6\u201a](?=[a-z])"
)
_ACCENTS = re.compile("[À-ÖØ-öø-ÿŒœ]")
#: A letter that became a question mark; not those of links.
_DOUBTS = re.compile(r"(?<![\w/.=&?-])[A-Za-z]+\?[a-z]+(?![\w=/])")
_BROKEN = re.compile(
    r"#(?:REF!|N/A\b|NAME\?|NOM\?|VALUE!|VALEUR!|DIV/0!|NULL!|NUL!|NUM!|NOMBRE!|SPILL!)"
)


class Writing:
    """Follows the text of a table, block by block."""

    def __init__(self) -> None:
        self._encoding = "ascii"
        self._marks = 0
        self._wide: codecs.IncrementalDecoder | None = None
        self._broken_at: int | None = None
        self._mixed = False
        self._nul = 0
        self._garbled = self._accents = self._doubts = self._broken = 0

    def start(self, block: bytes) -> bytes:
        """The first block without its marks, in UTF-8 if it was in UTF-16."""
        order = order_of_utf16(block)
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            order = "utf-16"
        if order is not None:
            self._encoding = "utf-16"
            self._wide = codecs.getincrementaldecoder(order)(errors="replace")
            return self.plain(block)
        block, self._marks = without_marks(block)
        if self._marks:
            self._encoding = "utf-8-sig"
        return block

    def plain(self, block: bytes) -> bytes:
        """A block in UTF-8 if it was in UTF-16."""
        return block if self._wide is None else self._wide.decode(block).encode()

    def look(self, rows: bytes, lines: int) -> None:
        """Follow the encoding of some rows, before which there are so many lines."""
        if self._wide is not None or self._broken_at is not None or rows.isascii():
            return
        if self._encoding == "ascii":
            self._encoding = "utf-8"
        try:
            rows.decode()
        except UnicodeDecodeError:
            self._broken_at = lines + 1
            text = rows.decode("utf-8", "replace")
            bad = text.count("\ufffd")
            good = len(text) - len(text.encode("ascii", "ignore")) - bad
            # letters of both encodings: two sources were put together
            self._mixed = good > 3 and good > bad / 4

    def glance(self, block: bytes, lines: int) -> None:
        """Look only for the first accent, which tells the encoding."""
        if self._encoding == "ascii" and not block.isascii():
            # only whole lines: a letter may be cut by the end of the block
            self.look(block[block.find(b"\n") + 1 : block.rfind(b"\n") + 1], lines)

    def count_zeros(self, block: bytes) -> None:
        """Count zero bytes; to look for them costs next to nothing."""
        if b"\0" in block:
            self._nul += block.count(b"\0")

    def read(self, text: str) -> None:
        """Look at the letters of a part that is sampled."""
        self._broken += len(_BROKEN.findall(text)) if "#" in text else 0
        self._doubts += len(_DOUBTS.findall(text)) if "?" in text else 0
        if not text.isascii():
            self._garbled += len(_GARBLED.findall(text))
            self._accents += len(_ACCENTS.findall(text))

    def told(self, found: Profile) -> Profile:
        """The profile with what is known of the writing."""
        return replace(
            found,
            encoding=self._encoding if self._broken_at is None else "windows-1252",
            garbled=self._garbled,
            accents=self._accents,
            doubts=self._doubts,
            broken=self._broken,
        )

    def findings(self) -> Iterator[Finding]:
        """What is wrong by itself."""
        if self._nul:
            yield Finding(
                "zero_bytes",
                f"It holds {self._nul:,} zero bytes, as files do after a full disk or a crash.",
            )
        if self._marks > 1:
            yield Finding(
                "mark",
                "It begins with more than one byte order mark: the name of its first column is "
                "not what it seems.",
                "warn",
            )
        if self._mixed:
            yield Finding(
                "mixed_encodings",
                f"Its text is partly UTF-8 and partly not (from line {self._broken_at:,} on).",
            )
        if self._garbled > 2:
            yield Finding(
                "garbled",
                f"Accents look wrong in it (“Ã©” for “é”, {self._garbled:,} times in what was "
                "read).",
                "warn",
            )
        if self._doubts > 2 and not self._accents:
            yield Finding(
                "accents_lost",
                f"Letters seem to have become question marks (“v?rifier”, {self._doubts:,} times "
                "in what was read).",
                "warn",
            )
        if self._broken:
            yield Finding(
                "formula_errors",
                f"It holds errors of a spreadsheet's formulas, like #REF! ({self._broken:,} in "
                "what was read).",
                "warn",
            )
