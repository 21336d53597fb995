"""Says whether a file may go out: by what it holds, and by what it takes the place of.

The thresholds are those of accidents, not of statistics: a file that lost most of its rows, a
column or its dates is looked at by a person; a quiet Sunday is not.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from publisher_daemon.model import Checks
from publisher_daemon.profile import RECENT, Column, Finding, Level, Profile

#: Fresh data (its dates all moved on) may have far fewer rows than the day before, down to this
#: share of what is otherwise asked: Sundays, holidays.
FRESH = 0.4
#: Below this many rows, one day may well have a tenth of another's, and an instrument none.
SMALL = 100
#: Versions after which those of a week are known.
WEEK = 7
#: Where one version had so many times the rows of another, days without a row are normal life.
HARDLY = 12
#: Below this many rows on either side, shares mean nothing.
FEW = 20
#: Below this many rows, a table is a beginning or a trial: its columns may still change.
FEW_LINES = 5
#: A file without rows may shrink to this share of its size.
SMALLER = 0.2
#: A column of which so much is blank has been empty.
NEARLY_EMPTY = 0.9
#: Rows that multiply by this in one go are rather two exports in one.
TIMES_MORE = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was noticed, sorted by what follows from it."""

    holds: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()

    def sentence(self) -> str:
        """What is wrong, what is so now, and what to do."""
        found = " ".join(finding.why for finding in self.holds)
        return (
            f"Held by a check before publishing. {found} What is on the portal stays as it is. If "
            "the file is right: `publisher-daemon release PATH`; if not, put a mended one in the "
            "folder."
        )

    def besides(self) -> str:
        """The same, to go after another reason to wait; nothing when nothing is wrong."""
        found = " ".join(finding.why for finding in self.holds)
        return f" But a check would hold it: {found} See to it before." if found else ""


def judge(
    new: Profile,
    old: Profile | None,
    old_size: int | None,
    checks: Checks,
    today: str | None = None,
) -> Verdict:
    """Compare what would go out with what is published now; ``checks`` says how strictly.

    What was published last without a row tells nothing: then it is the last that had some.
    """
    old = _with_rows(old)
    first = {"exchanged"} if old is None and old_size is None else set[str]()
    asked = {"secret": checks.secrets, "schema": checks.schema, "schema_column": checks.schema}
    found = [
        replace(finding, level="warn" if asked.get(finding.code) == "warn" else "hold")
        if asked.get(finding.code) == "warn" or finding.code in first
        else finding
        for finding in new.findings
        if asked.get(finding.code) != "off"
    ]
    if old is not None and old.kind == new.kind:
        found += _against(new, old, checks, today)
    elif old is not None and {old.kind, new.kind} != {"table", "text"}:
        found.append(
            Finding("kind_changed", f"It is {_kind(new.kind)}; what is published is "
                    f"{_kind(old.kind)}.")
        )  # fmt: skip
    elif old_size is not None:
        found += _sizes(new, old_size)
    if checks.mode == "warn":
        return Verdict(warnings=tuple(found))
    unique = {finding.code + finding.why: finding for finding in found}.values()
    return Verdict(
        tuple(finding for finding in unique if finding.level == "hold"),
        tuple(finding for finding in unique if finding.level == "warn"),
    )


def remembering(new: Profile, old: Profile | None) -> Profile:
    """The profile to keep once it is published: it knows what was normal in the versions before."""
    known = {} if old is None else _known(new, old)
    columns = tuple(
        replace(column, emptied=_since_emptied(column, known.get(column.name)))
        for column in new.columns
    )
    recent = () if old is None or old.rows is None else (*old.recent, old.rows)[-RECENT:]
    if new.rows == 0 and old is not None and old.kind == new.kind:
        return replace(old, size=new.size, rows=0, findings=new.findings, recent=recent)
    return replace(new, columns=columns, recent=recent)


def _with_rows(old: Profile | None) -> Profile | None:
    before = next((rows for rows in reversed(old.recent) if rows), 0) if old is not None else 0
    if old is None or old.rows != 0 or not before:
        return old
    return replace(old, rows=before, recent=(*old.recent, 0))


def _since_emptied(column: Column, before: Column | None) -> int:
    if column.blank > NEARLY_EMPTY:
        return 1
    since = before.emptied if before is not None else 0
    return since + 1 if 0 < since < RECENT else 0


def _against(new: Profile, old: Profile, checks: Checks, today: str | None) -> Iterator[Finding]:
    if new.rows is not None and old.rows is not None:
        yield from _rows(new, old, new.rows, old.rows, checks, today)
    else:
        yield from _sizes(new, old.size)
    yield from _columns(new, old, checks)
    yield from _dates(new, old, today)
    yield from _places(new, old)
    yield from _writing(new, old)


def _rows(  # noqa: PLR0917 - what is compared, and by what
    new: Profile, old: Profile, now: int, before: int, checks: Checks, today: str | None
) -> Iterator[Finding]:
    if before == 0:
        return
    change = (
        f"It has {now:,} row instead of {_count(before, about=old.about)}"
        if now == 1
        else f"It has {_count(now, about=new.about)} rows instead of "
        f"{_count(before, about=old.about)}"
    )
    if now == 0:
        # where an empty one, or one with hardly a row, went out before
        known = (before, *old.recent)
        hardly = min(known) < FEW_LINES and min(known) * HARDLY <= max(known)
        level: Level = "warn" if hardly else "hold"
        yield Finding("emptied", f"{change}: the export is empty.", level)
        return
    lost = 1 - now / before
    allowed = checks.fewer_rows
    # of XML nobody reads the dates
    if _is_fresh(new, old) or new.kind == "xml":
        if before >= SMALL:
            allowed = 1 - (1 - allowed) * FRESH
        else:
            # until a whole week was seen, nobody knows its Sundays
            allowed = 1 - (1 - allowed) * FRESH / 2 if len(old.recent) >= WEEK else 1.0
    # what went out before with so few rows is normal life
    usual = min((rows for rows in old.recent if rows > 0), default=before)
    room = checks.fewer_rows / (2 if usual >= SMALL else 1)
    least = min(usual * (1 - room), usual - 2 * usual**0.5)
    ordinary = now >= least and bool(old.recent) and not _goes_back(new, old, today)
    ordinary = ordinary or _begins_anew(new, old, now / before)
    # small numbers vary much by chance
    beyond = before >= FEW and before - now > 4 * before**0.5 and not ordinary
    if lost >= allowed and beyond:
        yield Finding("fewer_rows", f"{change}: {lost:.0%} of them are gone.")
    elif _is_less(new, old) and old.ended and new.ended is False:
        yield Finding(
            "cut_off", f"{change}, and its last line has no end: it looks cut off on its way."
        )
    elif lost >= allowed / 2 and beyond:
        yield Finding("fewer_rows", f"{change}: {lost:.0%} of them are gone.", "warn")
    elif old.ended and new.ended is False:
        yield Finding(
            "cut_off",
            "Its last line has no end, the published one has: was it cut off on its way?",
            "warn",
        )
    if (
        now > before * TIMES_MORE
        and before >= FEW
        and now > TIMES_MORE * max(old.recent, default=0)
    ):
        yield Finding("more_rows", f"{change}: {now / before:.0f} times as many.", "warn")


def _count(rows: int, *, about: bool) -> str:
    return f"about {rows:,}" if about else f"{rows:,}"


def _is_less(new: Profile, old: Profile) -> bool:
    """Whether something of what is published is gone; an estimate of rows cannot tell."""
    if new.about or old.about:
        return new.size < old.size
    return (new.rows or 0) < (old.rows or 0)


def _sizes(new: Profile, before: int) -> Iterator[Finding]:
    if before > 0 and new.size < before * SMALLER:
        lost = 1 - new.size / before
        yield Finding(
            "smaller",
            f"It has {new.size:,} bytes; what is published has {before:,} ({lost:.0%} fewer).",
        )


def _columns(new: Profile, old: Profile, checks: Checks) -> Iterator[Finding]:
    if checks.columns == "off" or not old.rows:
        return  # a line without rows may be anything, and no header
    if new.rows == 0 and new.kind != "table":
        return  # without a feature or an object there are no names
    # a line or two, or a mere list, has no structure that others rely on
    slight_table = max(old.rows, *old.recent, 0) < FEW_LINES or len(old.columns) == 1
    level: Level = "warn" if slight_table else checks.columns
    names, before = [one.name for one in new.columns], [one.name for one in old.columns]
    lost = [name for name in before if name not in names]
    gained = [name for name in names if name not in before]
    renamed = _renamed(new.columns, old.columns, lost, gained)
    for was, now in renamed.items():
        slight = _letters(was) == _letters(now)
        yield Finding(
            "column_renamed",
            f"The column “{was}” is now called “{now}”.",
            "warn" if slight else level,
        )
    left = [name for name in lost if name not in renamed]
    if left:
        yield Finding("column_lost", f"It lacks the columns {_names(left)}.", level)
    added = [name for name in gained if name not in renamed.values()]
    if added:
        yield Finding("column_added", f"It has new columns: {_names(added)}.", "warn")
    if not lost and not gained and names != before:
        yield Finding("columns_moved", "The columns stand in another order.", "warn")
    if new.rows == 0:
        return
    known = _known(new, old)
    for column in new.columns:
        was_column = known.get(column.name)
        if was_column is not None:
            # an instrument that rests on one day is normal life, and no column lost on the way
            resting = FEW <= (new.rows or 0) < SMALL and _is_fresh(new, old)
            yield from _kinds(column, was_column, level, new.rows or 0, resting=resting)


def _known(new: Profile, old: Profile) -> Mapping[str, Column]:
    """What is published, by the names that stand for one column only, before and now."""
    times = [Counter(column.name for column in one.columns) for one in (new, old)]
    return {
        column.name: column
        for column in old.columns
        if column.name and max(each[column.name] for each in times) == 1
    }


def _renamed(
    new: Sequence[Column], old: Sequence[Column], lost: Sequence[str], gained: Sequence[str]
) -> Mapping[str, str]:
    """What seems to be the same column under another name: same place, same kind of values."""
    places = {column.name: place for place, column in enumerate(new)}
    renamed: dict[str, str] = {}
    for place, column in enumerate(old):
        if column.name not in lost:
            continue
        for name in gained:
            same_place = places[name] == place
            alike = {new[places[name]].kind, column.kind}
            related = len(alike - {"blank", "text"}) < 2
            if same_place and related and name not in renamed.values():
                renamed[column.name] = name
                break
    return renamed


_DATES = {"date", "date_fr"}
_WORDS = {
    "integer": "whole numbers",
    "decimal": "numbers with a point",
    "decimal_comma": "numbers with a comma",
    "exponent": "numbers like 6.9E+04",
    "date": "dates like 2026-11-20",
    "date_fr": "dates like 20/11/2026",
    "text": "text",
    "blank": "nothing",
}
#: A column is of a kind when nearly all its values are.
NEARLY_ALL = 0.95
MOST = 0.5
#: Numbers that are so many times what they were have lost their mark (12.3, 123), or changed their
#: unit; what is measured may well be a hundred times what it was the day before.
MARK_LOST = 8.0
OTHER_UNIT = 500.0
#: Days, of twelve months of 31, by which last year's file is behind, or somewhat less.
A_YEAR = 300
#: A place is elsewhere when it is so many times as far from zero.
ELSEWHERE = 3.0


def _kinds(
    new: Column, old: Column, level: Level, rows: int, *, resting: bool
) -> Iterator[Finding]:
    where, enough = f"In the column “{new.name}”", rows >= FEW
    if new.kind == "blank":
        if old.blank < 0.1 and enough:
            # where it was empty before, and went out, an instrument that rests is normal life
            known: Level = "warn" if old.emptied or resting else level
            yield Finding("column_emptied", f"{where} all values are gone.", known)
        return
    if enough:
        yield from _values(new, old, level, where)
    if old.kind == "blank" or old.share < NEARLY_ALL:
        return
    if old.codes > 0.02 and new.codes == 0 and new.kind == "integer" and enough:
        yield Finding(
            "zeros_lost",
            f"{where} codes like 01234 have lost their leading zero, as spreadsheets do.",
            level,
        )
    if new.kind == old.kind:
        return
    change = f"{where}, now {_WORDS[new.kind]} instead of {_WORDS[old.kind]}."
    pair = {new.kind, old.kind}
    alike = ({"integer", "decimal"}, {"integer", "decimal_comma"}, {"decimal", "exponent"},
             {"decimal_comma", "exponent"})  # fmt: skip
    if pair in alike or not enough:
        return
    if old.kind == "text":
        yield Finding("kind_changed", change, "warn")
    elif new.share >= MOST:
        yield Finding("kind_changed", change, level)


def _values(new: Column, old: Column, level: Level, where: str) -> Iterator[Finding]:
    """What its values have become, whatever their kind."""
    if old.blank < 0.1 and new.blank - old.blank > 0.35:
        yield Finding("column_emptied", f"{where}, {new.blank:.0%} of the values are gone.", "warn")
    if old.nothing == 0 and new.nothing > 0.3:
        yield Finding(
            "placeholders",
            f"{where}, {new.nothing:.0%} of the values are words like “null”, that programs write "
            "for nothing.",
            level,
        )
    if new.same is not None and old.same is None and old.share >= NEARLY_ALL:
        yield Finding("all_the_same", f"{where} every value is now “{new.same}”.", "warn")
    yield from _amounts(new, old, level, where)


def _amounts(new: Column, old: Column, level: Level, where: str) -> Iterator[Finding]:
    """Numbers whose mark was lost, of another unit, or of another place."""
    if new.sizes is None or old.sizes is None or not old.sizes[1] or not new.sizes[1]:
        return
    least, middle, greatest = new.sizes
    was_least, was_middle, was_greatest = old.sizes
    times = middle / was_middle
    said = f"{where} the middle value is now {middle:g} instead of {was_middle:g}"
    if new.kind == "integer" and old.fractions > MOST and times > MARK_LOST:
        yield Finding("amounts", f"{said}: the decimals have become whole numbers.", level)
    elif old.kind == "integer" and new.fractions > MOST and abs(times) < 1 / OTHER_UNIT:
        why = f"{said}: are columns exchanged?"
        if 700 < 1 / abs(times) < 1400:
            why = f"{said}: signs between thousands (12,345) now read as those of decimals."
        yield Finding("amounts", why, level)
    elif abs(times) > OTHER_UNIT or abs(times) < 1 / OTHER_UNIT:
        if old.kind != "integer":
            yield Finding("amounts", f"{said}: another unit?", level)
    elif (
        min(old.fractions, new.fractions) > MOST
        and greatest - least < abs(middle) / 2
        and was_greatest - was_least < abs(was_middle) / 2
        and not 1 / ELSEWHERE < times < ELSEWHERE
    ):
        yield Finding("amounts", f"{said}: are columns exchanged?", level)


def _dates(new: Profile, old: Profile, today: str | None) -> Iterator[Finding]:
    stale = _is_stale(new, _known(new, old), today)
    for column, before in _dated(new, old):
        first, last = str(column.least), str(column.greatest)
        was_first, was_last = str(before.least), str(before.greatest)
        if last >= was_last:
            yield from _ahead(column.name, first, was_first, was_last)
            continue
        change = (
            f"The dates in “{column.name}” go back: the last is {last}, what is published goes up "
            f"to {was_last}."
        )
        older = first < was_first and last <= _middle(was_first, was_last)
        # what is announced may come and go; once all of it is past, it is an old file
        to_come = today is not None and last[:10] > today
        by_chance = (new.rows or 0) < FEW and last >= was_first
        hold = stale or (older and not to_come and not by_chance)
        yield Finding("dates_back", change, "hold" if hold else "warn")


def _is_stale(new: Profile, known: Mapping[str, Column], today: str | None) -> bool:
    """Whether all its days end a year or so before those that are published: last year's file."""
    back: list[int] = []
    for column in new.columns:
        before = known.get(column.name)
        if column.greatest is None or before is None or before.greatest is None:
            continue
        if _are_dates(column, before) and max(column.blank, before.blank) < MOST:
            if today is not None and before.greatest[:10] > today:
                return False
            back.append(_days(before.greatest) - _days(column.greatest))
    return bool(back) and min(back) > 0 and max(back) > A_YEAR and (new.rows or 0) >= FEW


def _ahead(name: str, first: str, was_first: str, was_last: str) -> Iterator[Finding]:
    """Dates that begin long after the last that is published: a gap, or days read as months."""
    room = max(62, 2 * (_days(was_last) - _days(was_first)))
    if _days(first) - _days(was_last) > room:
        yield Finding(
            "dates_ahead",
            f"The dates in “{name}” begin on {first}; what is published goes up to {was_last}.",
            "warn",
        )


def _places(new: Profile, old: Profile) -> Iterator[Finding]:
    known = {column.name: column for column in old.columns if column.kind == "place"}
    for column in new.columns:
        before = known.get(column.name)
        if before is None or column.kind != "place":
            continue
        least, greatest = float(column.least or 0), float(column.greatest or 0)
        was_least, was_greatest = float(before.least or 0), float(before.greatest or 0)
        room = was_greatest - was_least
        if least > was_greatest + room or greatest < was_least - room:
            yield Finding(
                "moved",
                f"Its places are elsewhere: the coordinate {column.name} goes from {least:g} to "
                f"{greatest:g}; in what is published, from {was_least:g} to {was_greatest:g}.",
            )


def _writing(new: Profile, old: Profile) -> Iterator[Finding]:
    if new.delimiter and old.delimiter and new.delimiter != old.delimiter and len(new.columns) > 1:
        yield Finding(
            "delimiter_changed",
            f"Its columns are separated by {_mark(new.delimiter)}; in what is published, by "
            f"{_mark(old.delimiter)}.",
        )
    if _family(new.encoding) != _family(old.encoding) and "ascii" not in {
        new.encoding, old.encoding
    }:  # fmt: skip
        yield Finding(
            "encoding_changed",
            f"Its text is encoded in {new.encoding}; that of what is published in {old.encoding}.",
        )
    elif new.encoding != old.encoding and "ascii" not in {new.encoding, old.encoding}:
        yield Finding("mark_changed", "Its byte order mark came or went.", "warn")
    if new.garbled > 5 * old.garbled + 2:
        yield Finding(
            "garbled",
            "Accents have become signs like “Ã©”: the text was read in the wrong encoding before "
            "it was written.",
        )
    if old.accents > 2 and new.accents == 0 and (new.rows or 0) >= FEW:
        lost = new.doubts > 5 * old.doubts + 2
        became = "become question marks" if lost else "all gone, or have become plain letters"
        yield Finding("accents_lost", f"Letters with accents have {became}.",
                      "hold" if lost else "warn")  # fmt: skip
    if new.broken > 5 * old.broken + 2:
        yield Finding(
            "formula_errors",
            f"It holds errors of a spreadsheet's formulas, like #REF! ({new.broken:,} in what was "
            f"read; {old.broken:,} in what is published).",
        )
    if new.again > 0.4 and old.again < 0.1 and (new.rows or 0) >= FEW:
        yield Finding(
            "rows_twice",
            f"{new.again:.0%} of its rows stood there before: the export seems to be in it twice.",
        )


def _is_fresh(new: Profile, old: Profile) -> bool:
    """Whether its dates moved on: not the old data cut short, but those of another period."""
    return any(
        str(column.least) > str(before.least) and str(column.greatest) >= str(before.greatest)
        for column, before in _dated(new, old)
    )


def _begins_anew(new: Profile, old: Profile, share: float) -> bool:
    """Whether all its days come after those published, with as many rows for each: a new month."""
    for column, before in _dated(new, old):
        first, last = str(column.least), str(column.greatest)
        was_first, was_last = str(before.least), str(before.greatest)
        days, were = (_days(last) - _days(first) + 1, _days(was_last) - _days(was_first) + 1)
        if first > was_last and days < were and share > days / were / 2:
            return True
    return False


def _goes_back(new: Profile, old: Profile, today: str | None) -> bool:
    """Whether days end before those that are published do, and those are past; and none move on."""
    ends = [(str(column.greatest)[:10], str(was.greatest)[:10]) for column, was in _dated(new, old)]
    # days of birth end where they happen to
    return any(last < was <= (today or was)[:10] for last, was in ends) and not any(
        last > was for last, was in ends
    )


def _dated(new: Profile, old: Profile) -> Iterator[tuple[Column, Column]]:
    """The columns of dates, with what they are in what is published."""
    known = _known(new, old)
    for column in new.columns:
        before = known.get(column.name)
        if before is not None and _are_dates(column, before):
            yield column, before


def _are_dates(*columns: Column) -> bool:
    """Whether these hold dates; whole numbers may be some (20261121)."""
    return all(
        column.kind in _DATES | {"integer"} and None not in {column.least, column.greatest}
        for column in columns
    )


def _middle(first: str, last: str) -> str:
    """A day between two, near enough for years and days alike; the last when it is one day."""
    if first[:10] == last[:10]:
        return last
    middle = (_days(first) + _days(last)) // 2 - 32
    return f"{middle // 372:04}-{middle % 372 // 31 + 1:02}-{middle % 31 + 1:02}"


def _days(day: str) -> int:
    """Days, near enough, of months of 31."""
    return int(day[:4]) * 372 + int(day[5:7]) * 31 + int(day[8:10] or 1)


def _letters(name: str) -> str:
    """A column's name without what writers change without meaning it: case, accents, signs."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def _family(encoding: str | None) -> str | None:
    return "utf-8" if encoding == "utf-8-sig" else encoding


def _mark(delimiter: str) -> str:
    return {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}.get(delimiter, delimiter)


def _kind(kind: str) -> str:
    return {"table": "a table of text (CSV)", "other": "of an unknown kind"}.get(kind, kind.upper())


def _names(names: Sequence[str]) -> str:
    said = ", ".join(f"“{name}”" for name in names[:8])
    return f"{said}…" if len(names) > 8 else said
