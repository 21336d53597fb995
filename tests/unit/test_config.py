"""Settings: what is read from where, and what a person is told when it cannot be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from publisher_daemon import config
from publisher_daemon.config import _file, load
from publisher_daemon.errors import ConfigInvalid
from publisher_daemon.model import DatasetId

ID = "5bbb6d6cff66bd4dc17bfd5a"
MINIMAL = f"""
[portal]
url = "https://demo.data.gouv.fr"
[[folders]]
path = "air"
dataset = "{ID}"
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return _write


def problems(path: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        load(path, environ or {})
    return caught.value.message.splitlines()


def problem(path: Path | None, environ: dict[str, str] | None = None) -> str:
    found = problems(path, environ)
    assert len(found) == 1, found
    return found[0]


# --------------------------------------------------------------------------------- where it is read


def test_the_given_file_comes_before_the_variable(write: Write, tmp_path: Path) -> None:
    given = write(MINIMAL)

    assert config.find(given, {"PUBLISHER_CONFIG": str(tmp_path / "other.toml")}) == given
    assert config.find(None, {"PUBLISHER_CONFIG": "/x/other.toml"}) == Path("/x/other.toml")


def test_the_file_of_the_current_directory_is_found(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(MINIMAL)
    monkeypatch.chdir(tmp_path)

    assert load(None, {}).folders[0].path == tmp_path / "air"


def test_says_where_it_looked_when_nothing_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_file, "PLACES", (Path("config.toml"), tmp_path / "etc.toml"))

    assert "config.toml" in problem(None)


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    assert "No such file" in problem(tmp_path / "none.toml")
    assert "No such file" in problem(None, {"PUBLISHER_CONFIG": str(tmp_path / "none.toml")})


def test_a_minimal_file_gets_the_documented_defaults(write: Write, tmp_path: Path) -> None:
    settings = load(write(MINIMAL), {})

    assert settings.daemon.workers == 4
    assert settings.daemon.rescan_every == 300
    assert settings.daemon.state_dir == Path("/var/lib/publisher-daemon")
    (watch,) = settings.watches({})
    assert (watch.name, watch.path, watch.dataset) == ("air", str(tmp_path / "air"), ID)
    assert (watch.quiet, watch.max_withdraw, watch.when_deleted) == (5.0, 0.3, "keep")


def test_systemd_gives_the_state_directory_unless_a_person_did(write: Write) -> None:
    given = {"STATE_DIRECTORY": "/var/lib/x:/var/lib/y"}

    assert load(write(MINIMAL), given).daemon.state_dir == Path("/var/lib/x")
    chosen = load(write(MINIMAL + '[daemon]\nstate_dir = "/z"\n'), given)
    assert chosen.daemon.state_dir == Path("/z")


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())

    assert load(path, {}).folders[0].label == "air"


# ------------------------------------------------------------------------------------- environment


def test_the_environment_beats_the_file(write: Write) -> None:
    environ = {"PUBLISHER_DAEMON__WORKERS": "2", "PUBLISHER_PORTAL__URL": "https://other.example"}

    settings = load(write(MINIMAL + "[daemon]\nworkers = 8\n"), environ)

    assert settings.daemon.workers == 2
    assert settings.portal.url == "https://other.example"


def test_everything_can_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_file, "PLACES", ())
    environ = {
        "PUBLISHER_PORTAL__URL": "https://demo.data.gouv.fr",
        "PUBLISHER_PORTAL__API_KEY": "key-from-the-environment",
        "PUBLISHER_FOLDERS__0__PATH": "/srv/a",
        "PUBLISHER_FOLDERS__0__DATASET": ID,
        "PUBLISHER_FOLDERS__0__INCLUDE": '["*.csv"]',
        "PUBLISHER_FOLDERS__0__RESOURCES__0__MATCH": "a.csv",
        "PUBLISHER_DATASETS": f'[{{"id": "{ID}", "private": true}}]',
        "PUBLISHER_DATASETS__0__TITLE": "Air",
    }

    settings = load(None, environ)

    assert settings.api_key() == "key-from-the-environment"
    assert settings.folders[0].include == ("*.csv",)
    assert settings.folders[0].resources[0].match == "a.csv"
    assert settings.datasets[0].said() == {"title": "Air", "private": True}


def test_a_variable_reaches_into_a_list_of_the_file(write: Write) -> None:
    settings = load(write(MINIMAL), {"PUBLISHER_FOLDERS__0__QUIET": "1m"})

    assert settings.folders[0].quiet == 60
    assert settings.folders[0].label == "air"


def test_a_wrong_variable_is_named(write: Write) -> None:
    path = write(MINIMAL)

    assert problem(path, {"PUBLISHER_DAEMON__WORKERS": "many"}).startswith(
        "environment: PUBLISHER_DAEMON__WORKERS: [daemon] workers"
    )
    assert "PUBLISHER_DEMON__WORKERS" in problem(path, {"PUBLISHER_DEMON__WORKERS": "2"})
    assert "skips a place" in problem(path, {"PUBLISHER_FOLDERS__5__QUIET": "2s"})
    assert "JSON" in problem(path, {"PUBLISHER_FOLDERS": "[{"})
    assert problem(path, {"PUBLISHER_PORTAL__0": "x"})


def test_a_foreign_variable_with_our_prefix_only_warns(write: Write) -> None:
    settings = load(write(MINIMAL), {"PUBLISHER_NAME": "x", "PUBLISHER_CONFIG": "unused"})

    assert len(settings.warnings()) == 1
    assert "PUBLISHER_NAME" in settings.warnings()[0]


# ----------------------------------------------------------------------------------- what is wrong


def test_every_problem_is_told_at_once_with_its_line(write: Write) -> None:
    path = write(
        "[portal]\n"
        'url = "http://www.data.gouv.fr"\n'
        "[[folders]]\n"
        'path = "/srv/a"\n'
        f'dataset = "{ID}"\n'
        "[[folders]]\n"
        'path = "/srv/b"\n'
        'dataset = "b"\n'
        'quiet = "5x"\n'
        "quite = 3\n"
        "[[folders.resources]]\n"
        'title = "x"\n'
    )

    found = problems(path)

    assert found[0].startswith(f'{path}:2: [portal] url = "http://www.data.gouv.fr": would send')
    assert found[1].startswith(f'{path}:9: [folders][2] quiet = "5x": is not a duration. Write')
    assert (
        found[2] == f'{path}:10: [folders][2] quite: unknown key. The nearest known one is "quiet".'
    )
    assert found[3].startswith(f"{path}:11: [folders][2] resources[1] match: is missing")
    assert len(found) == 4


def test_an_unknown_section_names_the_known_ones(write: Write) -> None:
    assert 'nearest known one is "folders"' in problem(write(MINIMAL + "[[folder]]\n"))
    known = "Known here: portal, daemon, metrics, alerts, folders, datasets"
    assert known in problem(write(MINIMAL + "[zzz]\n"))


def test_an_option_of_the_library_is_an_unknown_key(write: Write) -> None:
    assert "_env_file: unknown key" in problem(write('_env_file = "x"\n' + MINIMAL)).replace(
        "[_env_file]", "_env_file"
    )


def test_a_home_that_nobody_has_is_left_as_written(write: Write, tmp_path: Path) -> None:
    settings = load(write(MINIMAL + '[daemon]\nstate_dir = "~nobody-like-that/x"\n'), {})

    assert settings.daemon.state_dir == tmp_path / "~nobody-like-that/x"


def test_a_syntax_error_gives_line_and_column(write: Write) -> None:
    path = write("[portal]\nurl = https://demo\n")

    assert problem(path).startswith(f"{path}:2:7: this is not TOML")
    assert problem(write("[portal\n")).startswith(f"{path}:1:8: this is not TOML")
    assert "this is not TOML" in problem(write("x = "))


def test_a_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'[portal]\nurl = "https://x"\n# caf\xe9\n')

    assert problem(path) == f"{path}:3: this line is not UTF-8. Save it as UTF-8."


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("workers = 0", "Write 1 or more"),
        ("workers = 1.5", "whole number"),
        ('log_level = "loud"', "'debug', 'info', 'warning' or 'error'"),
        ('timezone = "Europe/Pariss"', "time zone"),
        ("grace = true", "is not a duration"),
        ('grace = "0s"', "longer than nothing"),
        ("state_dir = 3", "path"),
        ('state_dir = ""', "is not a path"),
        ('state_dir = "a\\u0000b"', "is not a path"),
    ],
)
def test_a_wrong_daemon_setting_says_what_would_be_right(
    write: Write, line: str, says: str
) -> None:
    assert says in problem(write(f"{MINIMAL}[daemon]\n{line}\n"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('max_withdraw = "130%"', "is not a share"),
        ("max_withdraw = 30", "is not a share"),
        ("max_withdraw = nan", "is not a share"),
        ("quiet = inf", "cannot be negative"),
        ('when_deleted = "delete"', "'keep' or 'withdraw'"),
        ('include = "*.csv"', "must be a list"),
        ('include = [""]', "at least 1 character"),
        ('ready_marker = "a/b"', "file name ending"),
        ("resources = 3", "must be a list"),
        ('resources = [{ match = "{1}.csv" }]', "braces"),
        ('resources = [{ match = "x", resource = "12" }]', "is not a resource id"),
        ('resources = [{ match = "x", type = "Main" }]', "'main', 'documentation'"),
        ('resources = [{ match = "x{y}", title = "{z}" }]', "uses {z}, which match does not name"),
        ('resources = [{ match = "x{y}", extras = { a = ["{z}"] } }]', "uses {z}, which match"),
        ('resources = [{ match = "x", title = "{files}" }]', "Say it of the dataset"),
        ('resources = [{ match = "x", extras = { "analysis:a" = 1 } }]', "belongs to the portal"),
    ],
)
def test_a_wrong_folder_setting_says_what_would_be_right(
    write: Write, line: str, says: str
) -> None:
    assert says in problem(write(MINIMAL + line + "\n"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('private = "true"', "true or false, without quotes"),
        ('private = "false"', "true or false, without quotes"),
        ("private = 1", "true or false, without quotes"),
        ('refresh = "0 6 * *"', "five fields"),
        ('refresh = "0 6 31 2 *"', "its day-of-month cannot be “31”"),
        ('refresh = "99 6 * * *"', "its minute cannot be “99”. Write 0 to 59"),
        ('frequency = "Daily"', 'Did you mean "daily"?'),
        ('tags = ["ab"]', "3 to 96 characters"),
        ('tags = ["air,eau"]', "without a comma"),
        ('acronym = " "', "is blank"),
        ('description_short = " \\n"', "is blank"),
        ('tags = ["---"]', "leaves “” once the portal"),
        ('tags = ["C++"]', "leaves “c” once the portal"),
        (f'tags = ["{"日" * 96}"]', "3 to 96 characters"),
        ('frequency = "biannual"', 'Did you mean "semiannual"?'),
        ('frequency = "realtime"', 'Did you mean "continuous"?'),
        ('extras = { "a:b" = [inf] }', "inf, nan"),
        (f'title = "{"x" * 351}"', "at most 350"),
        ('title = ""', "at least 1"),
        ('temporal_coverage = { end = "2020-01-01" }', "start: is missing"),
        ('temporal_coverage = { start = "{files}" }', "is not a date"),
        ('frequency_date = "{lastest}"', "is not a date"),
        ('frequency_date = "{latest}{earliest}"', "is not a date"),
        ('description = "Au {lastest}."', "Write {latest}"),
        ('title = "{last_publicatoin}"', "Write {last_publication}"),
        ('contact_points = ["Contact"]', "24 hexadecimal digits"),
        ('extras = { "transport:x" = 1 }', "belongs to the portal"),
        ('on_drift = "win"', "'keep' or 'enforce'"),
        ('timezone = "Pariss"', "time zone"),
        (f'organization = "{"0" * 24}"', "only for `create = true`"),
        ('temporal_coverage = { start = 2021-01-01, end = "2020-12-31" }', "comes before start"),
        ('description_file = "none.md"', "No such file"),
        ('refresh = "0 6 * * *"\nrefresh_every = "1h"', "Keep one of them"),
        ("extras = 3", "section"),
        ("extras = { deep = { i = 9223372036854775808 } }", "20 digits"),
        ('extras = { deep = { "$a" = 1 } }', "begin with $"),
        ('acronym = "' + "x" * 129 + '"', "at most 128"),
        ('access_type = "closed"', "'open_with_account' or 'restricted'"),
        ('license = "lov2"\naccess_type = "restricted"', "takes the license off"),
        ('access_audiences = [{ role = "all", condition = "no" }]', "company_and_association"),
        ("access_audiences = []", "Take the line out"),
        ('spatial = { geom = { type = "Point", coordinates = [1, 2] } }', "MultiPolygon"),
        (
            'spatial = { zones = ["a:b:c"], geom = { type = "MultiPolygon", coordinates = [] } }',
            "has zones and geom",
        ),
    ],
)
def test_a_wrong_dataset_setting_says_what_would_be_right(
    write: Write, line: str, says: str
) -> None:
    assert says in problem(write(f'{MINIMAL}[[datasets]]\nid = "{ID}"\n{line}\n'))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://demo.data.gouv.fr/", "https://demo.data.gouv.fr"),
        ("https://Demo.data.gouv.fr/api/1/", "https://demo.data.gouv.fr"),
        ("https://demo.data.gouv.fr/api/2", "https://demo.data.gouv.fr"),
        ("http://127.0.0.1:7000", "http://127.0.0.1:7000"),
        ("http://[::1]:7000/", "http://[::1]:7000"),
        ("http://localhost:7000", "http://localhost:7000"),
    ],
)
def test_the_portal_address_is_reduced_to_its_origin(write: Write, given: str, kept: str) -> None:
    assert load(write(MINIMAL), {"PUBLISHER_PORTAL__URL": given}).portal.url == kept


@pytest.mark.parametrize(
    "given",
    [
        "demo.data.gouv.fr",
        "ftp://demo.data.gouv.fr",
        "http://demo.data.gouv.fr",
        "http://127.0.0.1.example.org",
        "https://demo.data.gouv.fr/fr/datasets/x/",
        "https://demo.data.gouv.fr?x=1",
        "https://demo.data.gouv.fr:port",
        "https://",
        "",
    ],
)
def test_a_wrong_portal_address_is_refused(write: Write, given: str) -> None:
    assert "[portal] url" in problem(write(MINIMAL), {"PUBLISHER_PORTAL__URL": given})


@pytest.mark.parametrize("given", ["https://me:hunter2secret@demo.data.gouv.fr", "https://u@x.fr"])
def test_an_address_with_a_password_is_refused_unseen(write: Write, given: str) -> None:
    said = problem(write(MINIMAL), {"PUBLISHER_PORTAL__URL": given})

    assert "user name or a password" in said
    assert "hunter2secret" not in said


@pytest.mark.parametrize(
    ("given", "seconds"),
    [('"500ms"', 0.5), ('"5s"', 5), ('"1.5m"', 90), ('"1h"', 3600), ('"1d"', 86400), ("7", 7)],
)
def test_durations_take_units_or_seconds(write: Write, given: str, seconds: float) -> None:
    assert load(write(f"{MINIMAL}quiet = {given}\n"), {}).folders[0].quiet == seconds


# ------------------------------------------------------------------------------- between settings


def two_folders(first: Path, second: Path, extra: str = "") -> str:
    return (
        '[portal]\nurl = "https://demo.data.gouv.fr"\n'
        f'[[folders]]\npath = "{first}"\ndataset = "{ID}"\n'
        f'[[folders]]\npath = "{second}"\ndataset = "other"\n{extra}'
    )


def test_a_folder_is_watched_once(write: Write, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")

    same = problem(write(two_folders(tmp_path / "a", tmp_path / "a" / ".." / "a")))
    assert "is the same directory as that of [folders][1]" in same
    assert "lies inside" in problem(write(two_folders(tmp_path / "a", tmp_path / "a" / "b")))
    assert "contains" in problem(write(two_folders(tmp_path / "a" / "b", tmp_path / "a")))
    assert "same directory" in problem(write(two_folders(tmp_path / "a", tmp_path / "link")))


def test_neighbours_with_a_common_prefix_are_not_nested(write: Write, tmp_path: Path) -> None:
    assert len(load(write(two_folders(tmp_path / "a", tmp_path / "ab")), {}).folders) == 2


def test_one_directory_under_two_names_is_found_by_its_inode(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what a bind mount looks like: two real paths, one (st_dev, st_ino)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    real = Path.stat

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        same = tmp_path / "a" if self == tmp_path / "b" else self
        return real(same, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat)

    assert "same directory" in problem(write(two_folders(tmp_path / "a", tmp_path / "b")))


def test_the_state_is_kept_apart_from_the_data(write: Write) -> None:
    inside = problem(write(MINIMAL + '[daemon]\nstate_dir = "air/.state"\n'))
    around = problem(write(MINIMAL + '[daemon]\nstate_dir = "."\n'))

    assert "state_dir" in inside
    assert "whose files are published" in inside
    assert "lies inside [daemon] state_dir" in around


def test_names_are_unique_in_a_dataset(write: Write) -> None:
    text = MINIMAL + f'[[folders]]\npath = "other/air"\ndataset = "{ID}"\n'

    assert 'gives the name "air"' in problem(write(text))
    assert len(load(write(text + 'name = "other"\n'), {}).folders) == 2


def test_a_slug_that_is_the_same_dataset_is_found_when_it_is_resolved(write: Write) -> None:
    settings = load(write(MINIMAL + '[[folders]]\npath = "b/air"\ndataset = "slug"\n'), {})

    assert settings.watches({"slug": DatasetId("f" * 24)})[1].dataset == "f" * 24
    with pytest.raises(ConfigInvalid, match="two folders"):
        settings.watches({"slug": DatasetId(ID)})


def test_two_sections_of_one_dataset_are_found_when_its_slug_is_resolved(write: Write) -> None:
    sections = f'[[datasets]]\nid = "{ID}"\nacronym = "A"\n[[datasets]]\nid = "slug"\n'
    settings = load(write(MINIMAL + sections), {})

    settings.watches({"slug": DatasetId("f" * 24)})
    with pytest.raises(ConfigInvalid, match="about one dataset"):
        settings.watches({"slug": DatasetId(ID)})


def test_a_resource_is_pinned_once(write: Write) -> None:
    rule = '[[folders.resources]]\nmatch = "a"\nresource = "0A1B2C3D-0000-4000-8000-0123456789ab"\n'

    assert "is already given to [folders][1] resources[1]" in problem(write(MINIMAL + rule + rule))


def test_a_dataset_has_one_section(write: Write) -> None:
    section = f'[[datasets]]\nid = "{ID}"\n'

    assert "has a section already" in problem(write(MINIMAL + section + section))


def test_without_folders_only_run_complains(write: Write) -> None:
    settings = load(write('[portal]\nurl = "https://demo.data.gouv.fr"\n'), {})

    with pytest.raises(ConfigInvalid) as caught:
        settings.require_folders()
    assert "publisher-daemon init" in (caught.value.hint or "")


# ---------------------------------------------------------------------------------- as values


def test_rules_become_values(write: Write) -> None:
    rule = (
        '[[folders.resources]]\nmatch = "m_{year}.csv"\ntitle = "M {year}"\n'
        'description = "{ \\"json\\": 1 }"\nschema = "etalab/x"\ntype = "api"\n'
    )

    (watch,) = load(write(MINIMAL + rule), {}).watches({})

    assert watch.rules[0].match == "m_{year}.csv"
    assert watch.rules[0].words.said() == {
        "title": "M {year}",
        "description": '{ "json": 1 }',
        "type": "api",
        "schema": "etalab/x",
    }


def test_only_what_is_named_of_a_dataset_is_said(write: Write, tmp_path: Path) -> None:
    (tmp_path / "about.md").write_text("Une description.\n")
    section = (
        f'[[datasets]]\nid = "{ID}"\nrefresh = "0 6 * * *"\nprivate = false\ntags = []\n'
        'description_file = "about.md"\ntemporal_coverage = { start = 2020-01-01, end = "today" }\n'
    )

    assert load(write(MINIMAL + section), {}).datasets[0].said() == {
        "private": False,
        "tags": [],
        "description": "Une description.",
        "temporal_coverage": {"start": "2020-01-01", "end": "today"},
    }


def test_the_digest_changes_exactly_when_decisions_could(write: Write, tmp_path: Path) -> None:
    (tmp_path / "about.md").write_text("one")
    text = MINIMAL + f'[[datasets]]\nid = "{ID}"\ndescription_file = "about.md"\n'
    before = load(write(text), {}).digest()

    assert load(write(text), {"PUBLISHER_DAEMON__LOG_LEVEL": "debug"}).digest() == before
    assert load(write(text), {"PUBLISHER_PORTAL__API_KEY": "another-key"}).digest() == before
    assert load(write(text), {"PUBLISHER_FOLDERS__0__QUIET": "9s"}).digest() != before
    (tmp_path / "about.md").write_text("two")
    assert load(write(text), {}).digest() != before


def test_the_policy_carries_what_the_planner_asks(write: Write) -> None:
    settings = load(write(MINIMAL + '[daemon]\non_drift = "enforce"\ngrace = "1m"\n'), {})

    policy = settings.policy({}, extensions=frozenset({"csv"}), yes=True)

    assert (policy.on_drift, policy.grace, policy.yes) == ("enforce", 60.0, True)
    assert policy.extensions == {"csv"}
    assert policy.watch("air") is not None


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:9464", "192.168.1.1:9464", "9464", "127.0.0.1", "localhost:0", "a b:1"]
)
def test_metrics_are_served_to_this_machine_only(write: Write, listen: str) -> None:
    message = problem(write(f'{MINIMAL}[metrics]\nlisten = "{listen}"\n'))

    assert "[metrics] listen" in message
    assert "127.0.0.1:9464" in message


def test_a_rules_description_file_is_looked_at_like_its_words(write: Write, tmp_path: Path) -> None:
    (tmp_path / "words.md").write_text("Mesures {year}")
    rule = '[[folders.resources]]\nmatch = "*.csv"\ndescription_file = "words.md"\n'

    assert "uses {year}" in problem(write(MINIMAL + rule))
    assert "cannot stand beside" in problem(
        write(MINIMAL + rule.replace("*", "{year}") + 'description = "d"\n')
    )
    assert "No such file" in problem(write(MINIMAL + rule.replace("words", "none")))


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ('[[organizations]]\nid = "ville"', "24 hexadecimal digits"),
        ('[[organizations]]\nid = "{id}"\ndescription = "{{today}}"', "only a dataset has"),
        ('[[organizations]]\nid = "{id}"\n[[organizations]]\nid = "{id}"', "a section already"),
        ('[[reuses]]\nurl = "carte.example.org"', "starts with https:// or http://"),
        ('[[reuses]]\nurl = "https://a.b"\ndatasets = ["autre-jeu"]', "Write the dataset's id"),
        ('[[reuses]]\nurl = "https://a.b"\ndescription_file = "no.md"', "No such file"),
        ('[[reuses]]\nurl = "https://a.b"\nrefresh = "@daily"\nrefresh_every = "1d"', "one of"),
        ('[[datasets]]\nid = "air"\ncreate = true\ndescription = "d"', "needs a title"),
        ('[[datasets]]\nid = "air"\ncreate = true\ntitle = "t"', "needs a description"),
    ],
)
def test_a_wrong_page_says_what_would_be_right(write: Write, section: str, says: str) -> None:
    text = section.replace("{id}", ID).replace("{{", "{").replace("}}", "}")

    assert says in problem(write(f"{MINIMAL}{text}\n"))


@pytest.mark.parametrize(
    ("written", "rate"),
    [("10 Mbit/s", 1.25e6), ("1Gbit/s", 1.25e8), ("2.5 MB/s", 2.5e6), ("64 kbit/s", 8e3)],
)
def test_a_rate_is_written_as_people_say_it(write: Write, written: str, rate: float) -> None:
    settings = load(write(f'{MINIMAL}[daemon]\nmax_upload = "{written}"\n'), {})

    assert settings.policy({}).max_upload == pytest.approx(rate)


@pytest.mark.parametrize(
    "written", ['"10"', '"10 Mbps"', '"0 Mbit/s"', '"32 kbit/s"', "10", "true"]
)
def test_what_is_no_rate_is_refused_with_one_that_is_right(write: Write, written: str) -> None:
    assert "10 Mbit/s" in problem(write(f"{MINIMAL}[daemon]\nmax_upload = {written}\n"))
