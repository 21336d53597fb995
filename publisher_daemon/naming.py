"""Names: what a file is called on the portal, and which rule speaks of it.

The portal slugs every file name it gets (portal-facts §5.6). We send a name that is already as the
portal would make it, so that the title it sets, and the name in the link, are known beforehand.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from functools import lru_cache
from urllib.parse import quote

from anyascii import anyascii

from publisher_daemon.model import Rule, Watch, Words

#: The portal's storage cannot hold names near 255 bytes (portal-facts §5.6); 120 leaves ample room.
MAX_STEM = 120
#: Accepted by udata's storage though its own list does not name them (portal-facts §5.8).
UNLISTED = frozenset({"abw", "bmp", "gnumeric", "ini", "odf", "plist", "yaml", "yml"})
#: udata's limit on a resource's title (portal-facts §9.2), in characters.
MAX_TITLE = 350
#: How extras of a resource begin that no people write: those of the portal's services, and ours.
NOT_OF_PEOPLE = ("analysis:", "check:", "csv-export:", "validation-report:", "publisher-daemon:")

#: a key of the portal, of its present kind or the one before
_KEY = re.compile(
    r"udata_(?=[\w-]*\d)(?=[\w-]*[A-Z])(?=[\w-]*[a-z])[\w-]{40,}"
    r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}",
    re.ASCII,
)
_APOSTROPHES = re.compile(r"['\u2019\u2018`]")
_NOT_A_NAME = re.compile(r"[^a-z0-9.]+")
_PART = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_DATASET_ID = re.compile(r"[0-9a-f]{24}")


def looks_like_dataset_id(text: str) -> bool:
    """Whether it is an id (24 hexadecimal digits) and not a slug."""
    return _DATASET_ID.fullmatch(text) is not None


def base_name(path: str) -> str:
    """The last component of a relative path."""
    return path.rpartition("/")[2]


def readable(path: str) -> str:
    """The path as valid Unicode: composed, stray bytes as ``%XX``, no control character.

    For people and for the portal; never for opening the file.
    """
    if path.isascii() and path.isprintable():
        return path
    clean = "".join(
        f"%{ord(char) - 0xDC00:02X}" if 0xDC80 <= ord(char) <= 0xDCFF else char for char in path
    )
    composed = unicodedata.normalize("NFC", clean)
    return "".join(
        char if unicodedata.category(char)[0] != "C" else f"%{ord(char):02X}" for char in composed
    )


def default_title(path: str) -> str:
    """The title when nobody says one: the file's own name, as its owner wrote it."""
    return readable(base_name(path))[:MAX_TITLE]


def extension(path: str) -> str | None:
    """The extension the portal will look at (lower case, no dot), or None."""
    stem, dot, last = base_name(path).rpartition(".")
    if not dot or not stem:
        return None
    last = last.lower()
    return last if re.fullmatch(r"[a-z0-9]+", last) else None


def holds_key(path: str) -> bool:
    """Whether the name holds what looks like a key of the portal; a name is published."""
    return _KEY.search(path) is not None


def portal_name(path: str) -> str:
    """The ASCII name to send: one that the portal's slugging leaves as it is.

    A name of which nothing is left (emoji only) becomes ``fichier-`` and eight digits of its sha1.
    Files whose names end up alike stay apart by their identity, never by this name.
    """
    name = base_name(path)
    ext = extension(path)
    stem = name[: -len(ext) - 1] if ext else name
    ascii_stem = anyascii(_APOSTROPHES.sub("", unicodedata.normalize("NFC", readable(stem))))
    slug = _NOT_A_NAME.sub("-", ascii_stem.lower())
    slug = re.sub(r"-*\.[.-]*", ".", slug).strip("-.")
    digest = hashlib.sha1(path.encode("utf-8", "surrogatepass")).hexdigest()[:8]  # noqa: S324 - a short name, not a secret
    if not slug:
        slug = f"fichier-{digest}"
    elif len(slug) > MAX_STEM:
        slug = f"{slug[: MAX_STEM - 9].strip('-.')}-{digest}"
    return f"{slug}.{ext}" if ext else slug


def accepts(extensions: frozenset[str], path: str) -> bool:
    """Whether the portal takes this kind of file; yes when its list is not known."""
    ext = extension(path)
    if ext is None:
        return False
    return not extensions or ext in extensions or ext in UNLISTED


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression: ``{name}``, ``*``, ``?`` and ``**/`` (any depth)."""
    out: list[str] = []
    seen: set[str] = set()
    at = 0
    while at < len(pattern):
        part = _PART.match(pattern, at)
        if part:
            name = part.group(1)
            out.append(f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+?)")
            seen.add(name)
            at = part.end()
        elif pattern.startswith("**/", at):
            out.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            out.append(".*")
            at += 2
        else:
            char = pattern[at]
            out.append({"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)))
            at += 1
    return re.compile("".join(out), re.DOTALL)


def parts_of(pattern: str) -> tuple[str, ...]:
    """The names of the parts a pattern has, in order."""
    return tuple(dict.fromkeys(_PART.findall(pattern)))


def match(pattern: str, path: str) -> dict[str, str] | None:
    """The named parts when the path matches, else None.

    A pattern without ``/`` is about the file's own name, at any depth. Accents match however they
    are composed.
    """
    subject = path if "/" in pattern else base_name(path)
    found = _compiled(unicodedata.normalize("NFC", pattern)).fullmatch(
        unicodedata.normalize("NFC", subject)
    )
    return None if found is None else found.groupdict()


def rule_for(watch: Watch, path: str) -> tuple[Rule, dict[str, str]] | None:
    """The first rule of the folder that matches this path, with its parts."""
    for rule in watch.rules:
        parts = match(rule.match, path)
        if parts is not None:
            return rule, parts
    return None


def fill(template: str, parts: dict[str, str]) -> str:
    """The template with its ``{parts}`` filled in; a name that is no part stays as written."""
    return _PART.sub(lambda found: readable(parts.get(found.group(1), found.group(0))), template)


def _filled(said: str, parts: dict[str, str]) -> str:
    """The JSON value with the parts filled in where it is text."""

    def filled(value: object) -> object:
        match value:
            case str():
                return fill(value, parts)
            case list():
                return [filled(each) for each in value]
            case dict():
                return {name: filled(each) for name, each in value.items()}
        return value

    return extra(filled(json.loads(said)))


def extra(value: object) -> str:
    """The value of an extra as ``Words`` has it: equal values are equal texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def words_for(watch: Watch, path: str) -> tuple[Words, Rule | None]:
    """What the configuration says of this file, templates filled in, and the rule that says it."""
    found = rule_for(watch, path)
    if found is None:
        return Words(), None
    rule, parts = found
    words = rule.words
    return (
        Words(
            title=None if words.title is None else fill(words.title, parts)[:MAX_TITLE],
            description=None if words.description is None else fill(words.description, parts),
            type=words.type,
            schema=words.schema,
            extras=tuple((name, _filled(said, parts)) for name, said in words.extras),
        ),
        rule,
    )


def is_table(path: str) -> bool:
    """Whether its name is that of a table of text, compressed or not."""
    name = path.lower().removesuffix(".gz").removesuffix(".gzip")
    return name.endswith((".csv", ".tsv"))


def identity_path(path: str) -> str:
    """The path as it stands in a resource's extras: itself, or percent-encoded when not UTF-8."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "bytes:" + quote(path.encode("utf-8", "surrogateescape"), safe="/")
    return path


#: How, in any case, the names begin and end of what programs leave while they work: hidden, lock
#: and temporary files of shells, browsers, office programs, transfer tools and shares.
_TEMPORARY_STARTS = (".", "~$", "~syncthing~")
_TEMPORARY_ENDS = (
    "~", ".part", ".partial", ".filepart", ".crdownload", ".download", ".opdownload", ".!ut",
    ".aria2", ".tmp", ".temp", ".swp", ".swx", ".swo", ".lock",
    ".publish_after",
)  # fmt: skip
#: Names, in any case, of what systems leave in folders for themselves.
_SYSTEM = frozenset({
    "@eadir", "#recycle", "$recycle.bin", "system volume information", "__macosx", "lost+found",
    "thumbs.db", "desktop.ini",
})  # fmt: skip

#: The folder's own answer (HTML, text), never to be published itself.
ANSWERS = ("publisher-daemon.html", "publisher-daemon.txt")


def is_ignored(name: str) -> bool:
    """Whether a file or directory of that name is never data: temporary, hidden, lock, system."""
    low = name.lower()
    return (
        low.startswith(_TEMPORARY_STARTS)
        or low.endswith(_TEMPORARY_ENDS)
        or low in _SYSTEM
        or low in ANSWERS
        or (len(low) > 1 and low[0] == low[-1] == "#")
    )
