"""The folder answers: what the page says, to whom, and what it must never do."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from colleague import Api
from producer import Producer
from waiting import wait_until

from publisher_daemon.answer import Answer, html_page, text_page, write
from publisher_daemon.model import DatasetId, ResourceKey, State
from publisher_daemon.status import DatasetView, FileView
from publisher_daemon.words import Language, Words

HOSTILE = [
    "<script>alert(1)</script>.csv",
    '"onmouseover="alert(1).csv',
    "a\nb\r\x1b[31m.csv",
    "\u202etxt.csv",
    "&amp;lt;.csv",
    "caf\udce9.csv",
]


class Seen(HTMLParser):
    """What a browser would build."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def answer(language: Language = "fr") -> Answer:
    dataset = DatasetId("5bbb6d6cff66bd4dc17bfd5a")
    shown = [
        FileView(
            ResourceKey(dataset, "air", name), State.HELD, url="https://portal/r/1", since=1.0,
            why="The portal does not accept .x files. Publish it in an accepted format (csv, json, "
            "geojson, xlsx, ods, zip…), or add it to `exclude`.",
        )
        for name in HOSTILE
    ]  # fmt: skip
    shown += [
        FileView(ResourceKey(dataset, "air", f"{state}.csv"), state, url="https://portal/r/2")
        for state in State
    ]
    evil = FileView(
        ResourceKey(dataset, "air", "x.csv"), State.PUBLISHED, url="javascript:alert(1)"
    )
    view = DatasetView(
        dataset, title="L'air & <b>l'eau</b>", page="https://portal/air", files=(*shown, evil)
    )
    return Answer(view, "air", Words(language), "Europe/Paris", contact="Zoé <zoe@example.org>")


def test_names_from_the_share_are_text_and_nothing_else() -> None:
    page = html_page(answer(), 1795248000.0)

    seen = Seen(page)
    assert "script" not in seen.tags
    assert "b" not in seen.tags
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert "javascript:" not in page
    assert "<script>alert(1)</script>.csv" in seen.text
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "\r" not in page
    page.encode()  # valid UTF-8, whatever the name was


def test_the_page_says_what_needs_somebody_first_and_in_words() -> None:
    seen = Seen(html_page(answer(), 1795248000.0))

    assert "8 fichiers ne sont pas publiés" in seen.text  # seven held and one failed
    assert seen.text.index("failed.csv") < seen.text.index("published.csv")
    assert "Le portail n’accepte pas les fichiers .x." in seen.text
    assert "À qui demander" in seen.text
    assert "Toujours en ligne, tel que c’était\u00a0: https://portal/r/1" in seen.text
    assert "`ainsi` s’adresse à l’administrateur" in seen.text


def test_the_text_is_the_same_for_a_screen_without_a_browser(tmp_path: Path) -> None:
    write(tmp_path, answer("en"), 1795248000.0)

    raw = (tmp_path / "publisher-daemon.txt").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfPublication of")
    assert raw.count(b"\r\n") == raw.count(b"\n")
    assert "published.csv: published" in raw.decode("utf-8-sig")
    assert text_page(answer("en"), 0.0).count("\x1b") == 0


def test_an_answer_that_says_nothing_new_is_not_written_again(tmp_path: Path) -> None:
    now = 1795248000.0
    assert write(tmp_path, answer(), now)
    before = (tmp_path / "publisher-daemon.html").stat()
    os.utime(tmp_path / "publisher-daemon.html", (now, now))

    assert not write(tmp_path, answer(), now + 600)
    assert (tmp_path / "publisher-daemon.html").stat().st_ino == before.st_ino
    assert write(tmp_path, answer("en"), now + 660)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "publisher-daemon.html",
        "publisher-daemon.txt",
    ]


def test_a_link_put_in_its_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    where = tmp_path / "share"
    where.mkdir()
    for name in ("publisher-daemon.html", "publisher-daemon.txt"):
        (where / name).symlink_to(victim)

    write(where, answer(), 0.0)

    assert victim.read_text() == "mine"
    assert not (where / "publisher-daemon.html").is_symlink()


def test_the_service_answers_beside_the_files_and_does_not_publish_its_answer(
    producer: Producer, api: Api
) -> None:
    producer.settings |= {"language": '"fr"', "log_level": '"debug"'}
    producer.folder_settings["answer_dir"] = f'"{producer.folder}"'
    page = producer.folder / "publisher-daemon.html"
    with producer.start() as service:
        producer.drop("a.csv", b"a\n")
        producer.drop("b.parquet", b"b\n")
        wait_until(
            lambda: page.exists() and "1 fichier n’est pas publié" in page.read_text()
            and "✓" in page.read_text(), 30, "the answer",
        )  # fmt: skip
        link = api.resources(producer.dataset)[0]["latest"]
        assert link in page.read_text()
        mode = stat.S_IMODE(page.stat().st_mode)
        # what the answer's own files would wake comes before what this one wakes
        producer.drop("c.csv", b"c\n")
        wait_until(lambda: page.read_text().count("✓") == 2, 30, "the answer about the next one")
        service.stop()
        lines = service.events()

    assert mode == 0o644
    assert len(api.resources(producer.dataset)) == 2
    assert not [line for line in lines if "publisher-daemon." in str(line.get("path"))]
    # each file's own few passes, and no round of answer, event, pass, answer
    assert sum(line["event"] == "answer.written" for line in lines) <= 6
    assert sum(line["event"] == "dataset.reconciled" for line in lines) <= 12


def test_an_answer_that_cannot_be_written_stops_nothing(producer: Producer, api: Api) -> None:
    (producer.home / "file").write_text("not a directory")
    producer.folder_settings["answer_dir"] = f'"{producer.home}/file/inside"'
    producer.drop("a.csv", b"a\n")

    done = producer.call("once")

    assert done.returncode == 0
    assert done.stderr.count('"answer.failed"') == 1
    assert len(api.resources(producer.dataset)) == 1


def test_a_single_pass_answers_in_a_directory_apart(producer: Producer) -> None:
    apart = producer.home / "publication"
    producer.folder_settings["answer_dir"] = f'"{apart}"'
    producer.drop("a.csv", b"a\n")

    producer.once()

    assert "Everything is published." in (apart / "publisher-daemon.txt").read_text("utf-8-sig")


AXE = """<script>{axe}</script><script>
axe.run().then(found => {{ const out = document.createElement("pre"); out.id = "found";
out.textContent = JSON.stringify(found.violations.map(one => [one.id, one.help])) + "#" +
found.passes.length; document.body.appendChild(out); }});</script></body>"""


@pytest.mark.chromium
@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_with_an_accessibility_checker_finds_nothing(
    tmp_path: Path, language: Language, *, dark: bool
) -> None:
    checker = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    page = html_page(answer(language), 1795248000.0)
    # the page allows no script: the one that judges it needs that line away
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    page = page.replace("</body>", AXE.format(axe=checker.replace("</script>", "<\\/script>")))
    (tmp_path / "page.html").write_text(page, encoding="utf-8")

    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=20000",
         *(["--blink-settings=preferredColorScheme=0", "--force-dark-mode"] if dark else []),
         f"file://{tmp_path}/page.html"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    found = re.search(r'<pre id="found">(.*)#(\d+)</pre>', done.stdout)
    assert found is not None, done.stderr[-2000:]
    assert json.loads(found[1]) == []
    assert int(found[2]) > 15  # the checker did look


@pytest.mark.chromium
def test_a_browser_runs_nothing_that_a_name_brings(tmp_path: Path) -> None:
    page = html_page(answer(), 0.0).replace(
        "</body>", "<script>document.title='ran'</script></body>"
    )
    (tmp_path / "page.html").write_text(page, encoding="utf-8")

    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={tmp_path}/profile", f"file://{tmp_path}/page.html"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip

    assert "<title>ran</title>" not in done.stdout
    assert "<h1>" in done.stdout


def test_the_checker_is_at_hand_where_there_is_a_browser() -> None:
    if shutil.which("chromium"):
        assert (files("axe_core_python") / "axe.min.js").is_file()
