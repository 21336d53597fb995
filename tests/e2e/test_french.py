"""The command speaks French to people who do, before and after the configuration is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from producer import Producer

from publisher_daemon.cli import VERBS
from publisher_daemon.words import of_environment

WRONG = '[portal]\nurl = "https://demo.data.gouv.fr"\n[daemon]\nrescan_every = "soon"\n'
FRENCH = '[daemon] rescan_every = "soon"\u00a0: n’est pas une durée. Écrivez un nombre'
ENGLISH = '[daemon] rescan_every = "soon": is not a duration. Write a number'


def command(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "publisher_daemon", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1", **environment},
    )


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "fr_CA"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": ""}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LANGUAGE": "de:fr:en"}, "fr"),
        ({"LANG": "C", "LANGUAGE": "fr"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "fry_NL"}, "en"),
    ],
)
def test_the_locale_says_the_language_as_it_does_for_other_programs(
    environment: dict[str, str], language: str
) -> None:
    assert of_environment(environment) == language


@pytest.mark.parametrize(
    ("said", "environment", "expected"),
    [
        ("", {"LANG": "fr_FR.UTF-8"}, FRENCH),
        ("", {}, ENGLISH),
        ('language = "fr"\n', {}, FRENCH),
        ('language = "en"\n', {"LANG": "fr_FR.UTF-8"}, ENGLISH),
        ('language = "en"\n', {"PUBLISHER_DAEMON__LANGUAGE": "fr"}, FRENCH),
    ],
)
def test_what_is_wrong_with_the_configuration_is_told_in_its_language_else_in_the_locales(
    tmp_path: Path, said: str, environment: dict[str, str], expected: str
) -> None:
    (tmp_path / "config.toml").write_text(WRONG + said)

    done = command(tmp_path, "status", **environment)

    assert done.returncode == 78
    assert expected in done.stderr


def test_each_problem_of_a_configuration_is_told_in_french(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[portal]\nurl = "http://demo.data.gouv.fr"\nap_key = "x"\n[daemon]\nlanguage = "fr"\n'
        '[[folders]]\npath = "/tmp"\ndataset = "5bbb6d6cff66bd4dc17bfd5a"\nobserve = "x"\n'
        '[[datasets]]\nid = "5bbb6d6cff66bd4dc17bfd5a"\nfrequency = "dayly"\n'
        'refresh = "0 66 * * *"\n'
    )

    done = command(tmp_path, "check")

    assert done.returncode == 78
    assert 'http://demo.data.gouv.fr"\u00a0: enverrait la clé d’API en clair.\n' in done.stdout
    assert 'ap_key\u00a0: clé inconnue.\n      → La plus proche est "api_key".\n' in done.stdout
    assert "→ Écrivez 'auto', 'events' ou 'polling'.\n" in done.stdout
    assert '→ Est-ce "daily"\u00a0? Sont connues\u00a0: continuous' in done.stdout
    assert (
        "n’est pas une ligne cron\u00a0: «\u00a066\u00a0» n’y convient pas (heure)" in done.stdout
    )
    assert done.stdout.endswith("Pas prêt\u00a0: 5 erreurs à corriger.\n")


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_the_help_of_every_verb_is_french_throughout(tmp_path: Path, verb: str) -> None:
    said = command(tmp_path, *filter(None, [verb]), "--help", LANG="fr_FR.UTF-8", COLUMNS="200")
    english = command(tmp_path, *filter(None, [verb]), "--help", COLUMNS="200")

    assert (said.returncode, english.returncode) == (0, 0)
    same = {*said.stdout.splitlines()} & {*english.stdout.splitlines()}
    assert {line.strip() for line in same} <= {"", "VERB", "systemd-dropin"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["rollback", "a.csv"], "publisher-daemon: il manque\u00a0: --to. Voyez"),
        (["history", "--limit", "z"], "--limit\u00a0: 'z' n’est pas un nombre entier."),
        (["publish"], "VERB\u00a0: 'publish' n’est pas un choix possible"),
        (["retry", "--force"], "ceci n’est pas compris\u00a0: --force."),
    ],
)
def test_wrong_usage_is_told_in_french(tmp_path: Path, arguments: list[str], expected: str) -> None:
    done = command(tmp_path, *arguments, LANG="fr_FR.UTF-8")

    assert done.returncode == 2
    assert done.stderr.startswith("usage\u00a0: publisher-daemon ")
    assert expected in done.stderr


def test_what_is_no_toml_is_told_in_french_and_to_programs_in_english(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[portal\n")

    done = command(tmp_path, "status", "--json", LANG="fr_FR.UTF-8")

    assert "ce n’est pas du TOML\u00a0: il manque «\u00a0]\u00a0» à la fin" in done.stderr
    assert "this is not TOML: Expected ']'" in json.loads(done.stdout)["error"]


def test_init_check_and_import_speak_the_language_of_who_sets_it_up(producer: Producer) -> None:
    producer.environment["LANG"] = "fr_FR.UTF-8"
    producer.drop("a.csv", b"a;b\n1;2\n")
    output = producer.home / "first.toml"

    made = producer.call(
        "init", f"--url={producer.url}", f"--api-key-file={producer.home / 'api-key'}",
        f"--output={output}",
    )  # fmt: skip
    checked = producer.call("check")
    printed = producer.call("import", producer.dataset)
    for_programs = producer.ask("import", producer.dataset)

    assert "que cette clé permet de modifier." in made.stdout, made.stderr
    assert 'language = "fr"\n' in output.read_text()
    assert "# la clé elle-même est dans ce fichier" in output.read_text()
    assert "répond, et c’est un portail udata." in checked.stdout, checked.stderr
    assert "1 fichier à publier. Les changements sont vus par des événements" in checked.stdout
    assert "ses fichiers peuvent être publiés." in checked.stdout
    assert checked.stdout.rstrip().splitlines()[-1].startswith("Prêt")
    assert "# Ce qui est nommé ici est tenu à jour sur le portail" in printed.stdout
    assert "# What is named here is kept in step" in for_programs["toml"]
