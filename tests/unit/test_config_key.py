"""The API key: where it is looked for, and that no message ever shows it."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest

from publisher_daemon.config import _reading, load
from publisher_daemon.errors import ConfigInvalid

CANARY = "canary-4f1c-KEY-" + "x7Q9" * 12
TOKEN = "udata_" + "Zz09" * 16


def settings_text(portal: str = "") -> str:
    return f'[portal]\nurl = "https://demo.data.gouv.fr"\n{portal}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.touch(0o600)
    return path


def key_file(tmp_path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path = tmp_path / "api-key"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def refusal(file: Path, environ: dict[str, str] | None = None) -> str:
    """Everything that could be printed when the key is refused."""
    with pytest.raises(ConfigInvalid) as caught:
        load(file, environ or {}).api_key()
    shown = "".join(traceback.format_exception(caught.value))
    return f"{shown}\n{caught.value!r}\n{caught.value.hint}"


def test_the_credential_comes_first_then_the_file_then_the_variable(
    file: Path, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    key_file(tmp_path, "from-file\n")
    file.write_text(settings_text('api_key_file = "api-key"'))
    environ = {
        "CREDENTIALS_DIRECTORY": str(credentials),
        "PUBLISHER_PORTAL__API_KEY": "from-variable",
    }

    assert load(file, environ).api_key() == "from-file"
    # systemd 257 shows its credentials as 0440 with an ACL: their mode is not ours to judge
    (credentials / "api-key").write_text("  from-credential\r\n")
    (credentials / "api-key").chmod(0o444)
    assert load(file, environ).api_key() == "from-credential"
    (credentials / "api-key").unlink()
    file.write_text(settings_text())
    assert load(file, environ).api_key() == "from-variable"


def test_a_container_secret_is_a_credential(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reading, "SECRETS", tmp_path / "secret")
    (tmp_path / "secret").write_text("from-secret")
    file.write_text(settings_text())

    assert load(file, {}).api_key() == "from-secret"


def test_a_named_file_that_is_missing_never_falls_back(file: Path) -> None:
    file.write_text(settings_text('api_key_file = "none"'))

    said = refusal(file, {"PUBLISHER_PORTAL__API_KEY": CANARY})

    assert "No such file" in said
    assert CANARY not in said


def test_without_any_key_the_three_ways_are_told(file: Path) -> None:
    file.write_text(settings_text())

    said = refusal(file)

    for way in ("api_key_file", "credential", "PUBLISHER_PORTAL__API_KEY"):
        assert way in said


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
def test_a_key_file_that_others_can_read_is_refused(file: Path, tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path, CANARY, mode)
    file.write_text(settings_text(f'api_key_file = "{path}"'))

    said = refusal(file)

    assert f"chmod 600 {path}" in said
    assert CANARY not in said


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n\n",
        f"{CANARY} {CANARY}".encode(),
        f"{CANARY}\n{CANARY}\n".encode(),
        f"{CANARY}\x00".encode(),
        f"{CANARY}é".encode(),
        b"\xff\xfe" + CANARY.encode("utf-16-le"),
        CANARY.encode() * 400,
    ],
)
def test_what_cannot_be_a_key_is_refused_unseen(file: Path, tmp_path: Path, content: bytes) -> None:
    key_file(tmp_path, content)
    file.write_text(settings_text('api_key_file = "api-key"'))

    said = refusal(file)

    assert "api-key" in said
    assert CANARY[:20] not in said
    assert "c\x00a\x00n" not in said


@pytest.mark.parametrize(
    "secret", [CANARY, TOKEN, "eyJhbGciOiJIUzUxMiJ9.eyJ1c2VyIjoiNTM0In0.x-Y_z"]
)
@pytest.mark.parametrize(
    "line",
    [
        'api_key_file = "{}"',
        'apikey = "{}"',
        'api_key = ["{}"]',
        'api_key = "{}"\nworkers = 3',
        'api_key = "{}"\nurl = "twice"',
        'api_key = "{}',
        "api_key = {}",
        'proxy = "socks5://me:{}@proxy"',
        'url.{} = "x"',
        '{} = "x"',
    ],
)
def test_a_key_in_a_wrong_place_is_never_shown(file: Path, line: str, secret: str) -> None:
    file.write_text(settings_text(line.format(secret)))

    said = refusal(file)

    # a key without a token's shape, written as a name, cannot be told from a misspelt name
    assert secret not in said or (line.endswith('{} = "x"') and secret is CANARY)


@pytest.mark.parametrize(
    "variable",
    [
        "PUBLISHER_PORTAL__APIKEY",
        "PUBLISHER_PORTAL__API_KEY__X",
        "PUBLISHER_PORTAL",
        "PUBLISHER_DAEMON__WORKERS",
        "PUBLISHER_PORTAL__PROXY",
    ],
)
def test_a_key_in_a_wrong_variable_is_never_shown(file: Path, variable: str) -> None:
    file.write_text(settings_text())

    assert TOKEN not in refusal(file, {variable: TOKEN})
    assert TOKEN not in refusal(file, {variable: "[" + TOKEN})


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ('[[datasets]]\nid = "{d}"\ntitle = "Mesures {}"', "[datasets][1] title"),
        ('[[datasets]]\nid = "{d}"\ntags = ["air", "{}"]', "[datasets][1] tags[2]"),
        ('[[datasets]]\nid = "{d}"\nextras = {{ "{}" = "x" }}', "extras"),
        ('[[folders]]\npath = "/srv/{}"\ndataset = "{d}"', "[folders][1] path"),
        (
            '[[folders]]\npath = "/"\ndataset = "{d}"\nresources = [{{ match = "{}" }}]',
            "match",
        ),
    ],
)
@pytest.mark.parametrize("key", [TOKEN, CANARY])
def test_a_key_among_words_that_are_published_is_refused_unseen(
    file: Path, line: str, place: str, key: str
) -> None:
    """The one with a key's shape, and the one that is only known as the key."""
    file.write_text(settings_text() + line.format(key, d="5bbb6d6cff66bd4dc17bfd5a") + "\n")

    said = refusal(file, {"PUBLISHER_PORTAL__API_KEY": CANARY})

    assert "holds an API key" in said
    assert place in said
    assert key not in said


def test_a_key_of_no_known_shape_in_a_wrong_place_is_not_shown_in_part(file: Path) -> None:
    """A value that is wrong is shown, cut when it is long: half a key would no more be known."""
    file.write_text(settings_text('api_key = "kanari!0123456789?voliere=sans&forme"'))
    value = "/srv/a/path/of/some/length/kanari!0123456789?voliere=sans&forme"

    said = refusal(file, {"PUBLISHER_DAEMON__WORKERS": value})

    assert "kanari" not in said
    assert "holds an API key" in said


def test_printing_the_settings_hides_the_key(file: Path) -> None:
    file.write_text(settings_text(f'api_key = "{CANARY}"'))

    settings = load(file, {})

    assert settings.api_key() == CANARY
    for shown in (repr(settings), str(settings), json.dumps(settings.dumped()), settings.digest()):
        assert CANARY not in shown
    assert CANARY not in " ".join(settings.warnings())
    assert "api_key_file" in settings.warnings()[0]


def test_a_configuration_that_others_can_change_is_warned_about(file: Path) -> None:
    file.write_text(settings_text())
    file.chmod(0o666)

    assert "chmod go-w" in load(file, {}).warnings()[0]


def test_every_secret_is_told_to_the_log_even_when_it_cannot_be_used(
    file: Path, tmp_path: Path
) -> None:
    key_file(tmp_path, f"{CANARY} {TOKEN}\n", 0o644)
    file.write_text(
        settings_text('api_key_file = "api-key"\nproxy = "http://me:p%40ssw0rd@proxy:3128"')
    )

    settings = load(file, {"PUBLISHER_PORTAL__API_KEY": "from-variable"})

    assert set(settings.secrets()) == {
        CANARY, TOKEN, "from-variable", "p%40ssw0rd", "p@ssw0rd",
    }  # fmt: skip


def test_without_any_secret_there_is_nothing_to_hide(file: Path) -> None:
    file.write_text(settings_text('api_key_file = "none"'))

    assert load(file, {}).secrets() == ()


def test_what_the_service_manager_gave_is_hidden_too(file: Path, tmp_path: Path) -> None:
    file.write_text(settings_text())
    (tmp_path / "api-key").write_text(CANARY)

    assert load(file, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).secrets() == (CANARY,)
