from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest
from sources import BLOCK, Bytes, fingerprint, nothing

from publisher_daemon.errors import SourceChanged
from publisher_daemon.portal.body import BodyFailed, Document, Fields, FileForm, PartForm

SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 5]


def content_of(size: int) -> bytes:
    return bytes(range(256)) * (size // 256) + bytes(range(size % 256))


@pytest.mark.parametrize("size", SIZES)
def test_the_form_is_as_long_as_it_says_and_holds_the_file(size: int) -> None:
    content = content_of(size)
    form = FileForm(Bytes(content), fingerprint(content), "a.csv", nothing)

    sent = b"".join(bytes(block) for block in form)

    head, rest = sent.split(b"\r\n\r\n", 1)
    boundary = head.split(b"\r\n")[0]
    assert len(sent) == len(form)
    assert rest == content + b"\r\n" + boundary + b"--\r\n"
    assert b'name="file"; filename="a.csv"' in head


@pytest.mark.parametrize("size", SIZES)
def test_the_end_waits_for_the_callback(size: int) -> None:
    content = content_of(size)
    sent = bytearray()
    before: list[bytes] = []
    form = FileForm(
        Bytes(content), fingerprint(content), "a.csv", lambda: before.append(bytes(sent))
    )

    for block in form:
        sent += block

    assert len(before) == 1
    assert len(sent) - len(before[0]) > min(size, 1) + 30  # the epilogue and the last block
    if size:
        assert not before[0].endswith(content[-1:] * 2 + b"\r\n")
        assert len(before[0]) < len(form) - 36


CHANGES = {
    "another byte": lambda content: content[:-1] + b"!",
    "shorter": lambda content: content[:-1],
    "longer": lambda content: content + b"!",
    "empty": lambda _content: b"",
}


@pytest.mark.parametrize("size", [5, BLOCK, BLOCK + 1, 2 * BLOCK])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_file_that_changed_is_never_sent_to_its_end(size: int, change: object) -> None:
    content = content_of(size)
    source = Bytes(content)
    source.content = change(content)  # type: ignore[operator]  # its size was told when it was opened
    called: list[bool] = []
    form = FileForm(source, fingerprint(content), "a.csv", lambda: called.append(True))

    with pytest.raises(SourceChanged):
        list(form)

    assert not called
    assert not form.released


def test_a_source_of_another_size_sends_nothing() -> None:
    form = FileForm(Bytes(b"ab"), fingerprint(b"abc"), "a.csv", nothing)

    with pytest.raises(SourceChanged):
        next(iter(form))


def test_nothing_is_released_when_the_last_check_fails() -> None:
    def moved() -> None:
        raise SourceChanged

    form = FileForm(Bytes(b"abc", moved), fingerprint(b"abc"), "a.csv", nothing)

    with pytest.raises(SourceChanged):
        list(form)

    assert not form.released


def test_a_failing_disk_is_not_taken_for_a_failing_network() -> None:
    class Failing(Bytes):
        def blocks(
            self, size: int = BLOCK, start: int = 0, stop: int | None = None
        ) -> Iterator[memoryview]:
            yield from super().blocks(size, start, stop)
            raise OSError(5, "Input/output error")

    form = FileForm(Failing(b"abc"), fingerprint(b"abc"), "a.csv", nothing)

    with pytest.raises(BodyFailed) as failed:
        list(form)

    assert isinstance(failed.value.__cause__, OSError)


def test_a_name_cannot_break_out_of_its_header() -> None:
    form = FileForm(Bytes(b"x"), fingerprint(b"x"), 'a"\r\nX: y.csv', nothing)

    sent = b"".join(bytes(block) for block in form)

    assert b'filename="a%22%0D%0AX: y.csv"' in sent


def test_only_large_files_ask_before_sending() -> None:
    small, large = b"x", bytes(2 * 1024 * 1024)

    assert not FileForm(Bytes(small), fingerprint(small), "a", nothing, expect=True).expect
    assert FileForm(Bytes(large), fingerprint(large), "a", nothing, expect=True).expect
    assert not FileForm(Bytes(large), fingerprint(large), "a", nothing, expect=False).expect


def test_a_document_is_released_when_it_is_taken() -> None:
    document = Document({"title": "é"})
    assert not document.released

    sent = b"".join(document)

    assert document.released
    assert json.loads(sent) == {"title": "é"}
    assert len(document) == len(sent)
    assert hashlib.sha1(b"".join(Document())).hexdigest().startswith("da39a3")


@pytest.mark.parametrize("size", [1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_part_holds_its_stretch_and_the_fields(size: int) -> None:
    content = content_of(4 * BLOCK)
    seen = bytearray()
    form = PartForm(
        Bytes(content),
        (7, 7 + size),
        "a.csv",
        {"partindex": "1"},
        seen=seen.extend,
        before_last_byte=nothing,
    )

    sent = b"".join(bytes(block) for block in form)

    assert len(sent) == len(form)
    assert content[7 : 7 + size] in sent
    assert seen == content[7 : 7 + size]
    assert b'name="partindex"\r\n\r\n1\r\n' in sent
    assert not form.expect


def test_a_part_of_a_file_that_moved_is_not_sent_to_its_end() -> None:
    def moved() -> None:
        raise SourceChanged

    form = PartForm(Bytes(b"abc", moved), (0, 3), "a", {}, seen=len, before_last_byte=nothing)

    with pytest.raises(SourceChanged):
        list(form)

    assert not form.released


def test_the_assembly_is_a_form_without_a_file() -> None:
    form = Fields({"uuid": "u", "totalparts": "3"})

    sent = b"".join(form)

    assert len(sent) == len(form)
    assert b"filename" not in sent
    assert sent.count(b"Content-Disposition") == 2
    assert sent.endswith(b"--\r\n")
