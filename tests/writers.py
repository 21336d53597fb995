"""Programs that write files, each with its own bad habit.

The times are those of the measurements behind the design, five times faster: pauses shorter than a
quiet time of a second or so between two openings, and longer while the file is held open.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

#: how long a file must be still, for these writers
QUIET = 1.2
#: shorter than the quiet time, between two openings
GAP = 0.5
#: longer than the quiet time, with the file held open
STALL = 3.0

#: writes these bytes at that path, at its own pace
Writer = Callable[[Path, bytes], None]


def content(of: str) -> bytes:
    """Make bytes that no other writer writes, a few seconds' worth at the speeds used here."""
    return b"".join(b"%06d;mesure;%s\n" % (line, of.encode()) for line in range(15_000))


def later(version: bytes) -> bytes:
    """Make the next version: as long as the one before, so that no size tells them apart."""
    return version.replace(b"mesure", b"valeur")


def halves(version: bytes) -> tuple[bytes, bytes]:
    return version[: len(version) // 2], version[len(version) // 2 :]


def pause(seconds: float) -> None:
    """Let time pass as the writer does: its slowness is what is tested."""
    threading.Event().wait(seconds)


# ------------------------------------------------------------------- what programs do, done by hand


def slow_upload(path: Path, version: bytes) -> None:
    """One opening, with a stall longer than the quiet time (a slow disk or line)."""
    with path.open("wb", buffering=0) as file:
        for half in halves(version):
            file.write(half)
            pause(STALL)


def append_and_close(path: Path, version: bytes) -> None:
    """Scanner, logger: opened anew for each piece."""
    path.unlink(missing_ok=True)
    for start in range(0, len(version), 60_000):
        with path.open("ab") as file:
            file.write(version[start : start + 60_000])
        pause(GAP)


def preallocate(path: Path, version: bytes) -> None:
    """Its full size from the first moment."""
    with path.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, len(version))
        pause(STALL)
        file.write(version)


def set_size_close_reopen(path: Path, version: bytes) -> None:
    """SMB clients: created at full size and closed, then opened again and filled."""
    with path.open("wb") as file:
        file.truncate(len(version))
    pause(GAP)
    with path.open("r+b") as file:
        file.write(version)


def mapped(path: Path, version: bytes) -> None:
    """Written through memory after the descriptor is closed."""
    with path.open("w+b") as file:
        file.truncate(len(version))
        memory = mmap.mmap(file.fileno(), len(version))
    first, second = halves(version)
    memory[: len(first)] = first
    pause(STALL)
    memory[len(first) :] = second
    pause(STALL)
    memory.close()


def temporary_file_linked(path: Path, version: bytes) -> None:
    """O_TMPFILE and linkat: written under no name at all, and on after it has one."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_TMPFILE | os.O_RDWR)
    os.write(descriptor, halves(version)[0])
    libc = ctypes.CDLL(None, use_errno=True)
    source = f"/proc/self/fd/{descriptor}".encode()
    assert libc.linkat(-100, source, -100, os.fsencode(path), 0x400) == 0, ctypes.get_errno()
    pause(STALL)
    os.write(descriptor, halves(version)[1])
    os.close(descriptor)


def redirected(path: Path, version: bytes) -> None:
    """``>`` over what was there: empty for an instant, then longer and longer."""
    program = (
        "import sys, time\n"
        "whole = sys.stdin.buffer.read()\n"
        "for start in range(0, len(whole), 50_000):\n"
        "    sys.stdout.buffer.write(whole[start:start + 50_000])\n"
        "    sys.stdout.buffer.flush()\n"
        f"    time.sleep({GAP})\n"
    )
    with path.open("wb") as out:
        subprocess.run([sys.executable, "-c", program], input=version, stdout=out, check=True)


def part_then_renamed(path: Path, version: bytes) -> None:
    """WinSCP, curl with care, our own advice: a temporary name, then the final one."""
    temporary = path.with_name(f"{path.name}.filepart")
    slow_upload(temporary, version)
    temporary.rename(path)


def downloaded_by_chrome(path: Path, version: bytes) -> None:
    """``.crdownload``, in pieces, then the final name."""
    temporary = path.with_name("Unconfirmed 12345.crdownload")
    append_and_close(temporary, version)
    temporary.rename(path)


def downloaded_by_firefox(path: Path, version: bytes) -> None:
    """The final name, empty, from the first moment; the content beside it; then a rename."""
    path.touch()
    temporary = path.with_name(f"{path.stem}.Xy12.csv.part")
    slow_upload(temporary, version)
    temporary.rename(path)


def saved_by_office(path: Path, version: bytes) -> None:
    """The old one aside, the new one in its place, the old one removed."""
    lock = path.with_name(f"~${path.name}")
    lock.write_bytes(b"owner")
    fresh, old = path.with_name("ABCD1234.tmp"), path.with_name("EFGH5678.tmp")
    slow_upload(fresh, version)
    if path.exists():
        path.rename(old)
    fresh.rename(path)
    old.unlink(missing_ok=True)
    lock.unlink()


def saved_by_libreoffice(path: Path, version: bytes) -> None:
    """A lock file, a temporary one, a rename over the old one."""
    lock = path.with_name(f".~lock.{path.name}#")
    lock.write_bytes(b",user,host,21.11.2026 10:00;")
    temporary = path.with_name("lu123abc.tmp")
    slow_upload(temporary, version)
    temporary.rename(path)
    lock.unlink()


def saved_by_gedit(path: Path, version: bytes) -> None:
    """``.goutputstream-…``, then a rename over the old one."""
    temporary = path.with_name(".goutputstream-AB12CD")
    slow_upload(temporary, version)
    temporary.rename(path)


def saved_in_place(path: Path, version: bytes) -> None:
    """Editors that truncate and write: VS Code, nano, Notepad; here on a slow disk."""
    with path.open("wb", buffering=0) as file:
        for half in halves(version):
            pause(GAP)
            file.write(half)


def edited_in_place(path: Path, version: bytes) -> None:
    """Torn on the final name until it is done (databases, rsync --inplace)."""
    if not path.exists():
        path.write_bytes(bytes(len(version)))
    with path.open("r+b", buffering=0) as file:
        for half in halves(version):
            file.write(half)
            pause(STALL)


def moved_from_another_disk(path: Path, version: bytes) -> None:
    """Mv across file systems: copied in pieces, dates set at the end."""
    source = Path("/dev/shm") / f"publisher-daemon-{os.getpid()}-{path.name}"
    source.write_bytes(version)
    os.utime(source, (1, 1))
    subprocess.run(["mv", str(source), str(path)], check=True)


def copied(path: Path, version: bytes) -> None:
    """Cp, plain."""
    subprocess.run(["cp", str(aside(path, version)), str(path)], check=True)


def in_new_directories(path: Path, version: bytes) -> None:
    """Mkdir -p, and at once a file at the bottom, in pieces."""
    path.parent.mkdir(parents=True, exist_ok=True)
    append_and_close(path, version)


BY_HAND: tuple[Writer, ...] = (
    slow_upload, append_and_close, preallocate, set_size_close_reopen, mapped,
    temporary_file_linked, redirected, part_then_renamed, downloaded_by_chrome,
    downloaded_by_firefox, saved_by_office, saved_by_libreoffice, saved_by_gedit, saved_in_place,
    edited_in_place, moved_from_another_disk, copied, in_new_directories,
)  # fmt: skip

# ----------------------------------------------------------------------------- the programs at work


def aside(path: Path, version: bytes) -> Path:
    """Put the bytes in a file outside the folder, for a program to take."""
    source = path.parents[2] / f"{path.parent.name}-{path.name}"
    source.write_bytes(version)
    return source


def rsync(*options: str) -> Writer:
    """Rsync, slowed down to some seconds."""

    def write(path: Path, version: bytes) -> None:
        source = aside(path, version)
        subprocess.run(
            ["rsync", "--bwlimit=200", "--no-whole-file", "--ignore-times", *options,
             str(source), str(path)],
            check=True,
        )  # fmt: skip

    return write


def vim(backup: str) -> Writer:
    """Vim, saving in place or through a rename."""

    def write(path: Path, version: bytes) -> None:
        if not path.exists():
            path.write_bytes(version)
            return
        subprocess.run(
            ["vim", "-u", "NONE", "-es", "-c", f"set backup backupcopy={backup}",
             "-c", "%s/mesure/valeur/", "-c", "wq", str(path)],
            check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        path.with_name(f"{path.name}~").unlink(missing_ok=True)

    return write


def sed(path: Path, version: bytes) -> None:
    """Sed -i: a temporary file of a name that nobody knows, then a rename."""
    if not path.exists():
        path.write_bytes(version)
        return
    subprocess.run(["sed", "-i", "s/mesure/valeur/", str(path)], check=True)


def unzip(path: Path, version: bytes) -> None:
    """Unzip -o over what is there."""
    archive = path.parents[2] / f"{path.parent.name}-{path.name}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as inside:
        inside.writestr(path.name, version)
    subprocess.run(["unzip", "-qo", str(archive), "-d", str(path.parent)], check=True)


PROGRAMS: dict[str, Writer] = {
    "rsync": rsync(),
    "rsync -t": rsync("-t"),
    "rsync inplace": rsync("-t", "--inplace"),
    "rsync delay": rsync("-t", "--delay-updates"),
    "rsync partial": rsync("-t", "--partial-dir=.rsync-partial"),
    "vim copy": vim("yes"),
    "vim rename": vim("no"),
    "sed": sed,
    "unzip": unzip,
}
