"""A file that goes up in parts: udata keeps them by their uuid until they are put together.

A part publishes nothing, so what is unknown of one is never an unknown outcome: a lost answer is
a portal that does not answer. Only a 500 is told apart, since it is also what udata says of a part
that it has already (portal-facts §7.4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from publisher_daemon.errors import OutcomeUnknown, PortalUnreachable
from publisher_daemon.model import Parcel
from publisher_daemon.portal import answers
from publisher_daemon.portal.body import Block, Fields, PartForm, Source
from publisher_daemon.portal.calls import Answer, Caller


def put(
    calls: Caller,
    path: str,
    parcel: Parcel,
    index: int,
    *,
    source: Source,
    name: str,
    seen: Callable[[Block], object],
    before_last_byte: Callable[[], None],
    silence: float,
) -> OutcomeUnknown | None:
    """Send one part; the error is given back when it is a 500: the part may be there or not."""
    start, stop = parcel.stretch(index)
    fields = {
        **_common(parcel, name),
        "partindex": str(index),
        "partbyteoffset": str(start),
        "chunksize": str(stop - start),
    }
    form = PartForm(
        source, (start, stop), name, fields, seen=seen, before_last_byte=before_last_byte
    )
    try:
        answer = calls.write("POST", path, form, silence=silence)
    except OutcomeUnknown as error:
        if error.status == 500:
            return error
        raise PortalUnreachable(
            f"part {index + 1} of {parcel.total}: {error.message}",
            hint=error.hint,
            exchange=error.exchange,
        ) from None
    if not _kept(answer):
        raise PortalUnreachable(
            f"part {index + 1} of {parcel.total}: the portal's answer {answer.status} does not say "
            "that it has it",
            exchange=answer.exchange,
        )
    return None


def assemble(calls: Caller, path: str, parcel: Parcel, name: str, *, silence: float) -> Any:
    """Have the parts put together, which publishes the file; raises OutcomeUnknown."""
    return calls.written("POST", path, Fields(_common(parcel, name)), silence=silence)


def _common(parcel: Parcel, name: str) -> Mapping[str, str]:
    return {"uuid": parcel.id, "filename": name, "totalparts": str(parcel.total)}


def _kept(answer: Answer) -> bool:
    try:
        found = answers.document(answer.body)
    except ValueError:
        return False
    return isinstance(found, Mapping) and found.get("success") is True
