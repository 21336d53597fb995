"""The unit on a booted systemd, 252 and 257: from the start to every trouble it is made for."""

from __future__ import annotations

import json
import ssl
import threading
import time

import trustme
from proxy import Proxy
from scripted import Scripted, tunnel
from served import FOLDER, UNIT, Served
from waiting import wait_until

SMALL = b"a;b\n1;2\n"


def test_a_file_dropped_is_published(served: Served) -> None:
    served.server.run("systemctl", "enable", "--now", UNIT)
    sha1 = served.drop("a.csv", SMALL)

    served.until_published(sha1)

    assert served.server.show(UNIT, "ActiveState") == "active"
    assert served.server.show(UNIT, "User") == "publisher-daemon"
    assert served.server.show(UNIT, "StatusText")
    served.stop()
    assert served.server.show(UNIT, "Result") == "success"


def test_a_killed_service_comes_back_and_publishes_nothing_twice(served: Served) -> None:
    served.start()
    first = served.drop("a.csv", SMALL)
    served.until_published(first)
    before = served.pid()
    served.server.run("systemctl", "kill", "--signal=SIGKILL", UNIT)
    second = served.drop("b.csv", b"b\n")

    served.until_published(first, second)

    assert served.pid() != before
    assert served.server.show(UNIT, "NRestarts") == "1"


def test_a_service_that_hangs_is_started_again(served: Served) -> None:
    served.start()
    before = served.pid()
    served.server.run("kill", "-STOP", str(before))

    wait_until(lambda: served.pid() not in {0, before}, 60, "another process serves")

    sha1 = served.drop("a.csv", SMALL)
    served.until_published(sha1)
    assert "watchdog" in served.told().lower()


def test_a_full_state_disk_is_waited_for_by_the_same_process(served: Served) -> None:
    state = "/var/lib/publisher-daemon"
    served.server.run("mkdir", "-p", state)
    served.server.run("mount", "-t", "tmpfs", "-o", "size=2m", "state", state)
    try:
        served.start()
        first = served.drop("a.csv", SMALL)
        served.until_published(first)
        before = served.pid()
        served.server.run("sh", "-c", f"cat /dev/zero >{state}/filler", check=False)
        second = served.drop("b.csv", b"b\n")
        assert "full" in str(served.until_said("ledger.broken"))
        wait_until(lambda: _began_anew(served), 60, "it begins anew")
        assert served.server.show(UNIT, "ActiveState") == "active"
        served.server.run("rm", f"{state}/filler")

        served.until_published(first, second)

        assert (served.pid(), served.server.show(UNIT, "NRestarts")) == (before, "0")
    finally:
        served.stop()
        served.server.run("umount", "--lazy", state)


def _began_anew(served: Served) -> bool:
    """Whether it serves again, or found the disk full again some time after the first line."""
    found = [int(line["__REALTIME_TIMESTAMP"]) for line in served.events("ledger.broken")]
    return len(served.events("daemon.started")) > 1 or found[-1] - found[0] > 5_000_000


#: one worker hangs, once, while it reads a file; and seconds stand for the five minutes
HUNG = """
import pathlib, threading
from publisher_daemon.__main__ import main
from publisher_daemon.daemon import signs
from publisher_daemon.folder import Folder
once, whole = pathlib.Path("/var/lib/publisher-daemon/hung"), Folder.open
def hang(*asked):
    if not once.exists():
        once.touch()
        threading.Event().wait()
    return whole(*asked)
signs.STUCK, Folder.open = 10.0, hang
raise SystemExit(main())
"""


def test_a_single_worker_that_hangs_is_named_and_the_service_started_again(served: Served) -> None:
    served.server.write("/usr/local/lib/hung.py", HUNG)
    served.override(
        "[Service]\nExecStart=\nExecStart=/usr/lib/publisher-daemon/venv/bin/python -I "
        "/usr/local/lib/hung.py --config /etc/publisher-daemon/config.toml run\n"
    )
    served.start()
    before = served.pid()
    sha1 = served.drop("a.csv", SMALL)

    assert served.until_said("worker.silenced", within=60)["WORKER"]

    wait_until(lambda: served.pid() not in {0, before}, 60, "another process serves")
    served.until_published(sha1)
    assert "watchdog" in served.told().lower()


def test_a_key_is_changed_and_a_leaked_one_revoked_in_the_middle_of_work(served: Served) -> None:
    def make() -> tuple[str, str]:
        made = served.portal.call("POST", "1/me/api_tokens/", {"name": "service"})
        return made["id"], made["token"]

    def write(key: str) -> None:
        served.server.write("/etc/publisher-daemon/api-key", key, 0o600)

    (leaked, first), (old, second), (_, third) = make(), make(), make()
    write(first)
    served.start()
    sums = [served.drop("a.csv", SMALL)]
    served.until_published(*sums)

    # it leaked: revoked at once, and files wait
    served.portal.call("DELETE", f"1/me/api_tokens/{leaked}/")
    sums.append(served.drop("b.csv", b"b\n1\n"))
    served.until_said("credential.refused")
    assert served.server.show(UNIT, "ActiveState") == "active"
    assert len(served.resources()) == 1
    write(second)
    served.server.run("systemctl", "restart", UNIT)
    served.until_published(*sums)

    # it is only changed: the old one is revoked last, and nothing is refused
    served.since = time.time_ns() // 1000
    write(third)
    served.server.run("systemctl", "restart", UNIT)
    assert "The key is that of" in served.check()
    served.portal.call("DELETE", f"1/me/api_tokens/{old}/")
    sums.append(served.drop("c.csv", b"c\n1\n"))
    served.until_published(*sums)
    assert not served.events("credential.refused")
    journal = served.server.run("journalctl", "--no-pager", "-o", "export", "-u", UNIT).stdout
    assert not [key for key in (first, second, third) if key in journal]


def test_a_good_configuration_is_taken_over_by_a_reload(served: Served) -> None:
    served.start()
    before = served.pid()
    served.configure(more='[metrics]\ntextfile = "/var/lib/publisher-daemon/numbers.prom"')

    served.server.run("systemctl", "reload", UNIT)

    served.until_said("config.reloaded")
    assert served.pid() == before
    numbers = served.server.path("/var/lib/publisher-daemon/numbers.prom")
    wait_until(numbers.exists, 30, "what the new configuration asks for")


def test_a_bad_configuration_is_refused_and_the_last_good_one_serves(served: Served) -> None:
    served.start()
    before = served.pid()
    served.configure(more="quite = 3", shown=False)

    served.server.run("systemctl", "reload", UNIT)

    refused = served.until_said("config.refused")
    assert "quite" in refused["WHY"]
    assert served.pid() == before
    sha1 = served.drop("a.csv", SMALL)
    served.until_published(sha1)


def test_a_slow_upload_is_no_hang_and_a_stop_in_the_middle_loses_and_doubles_nothing(
    served: Served,
) -> None:
    half, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        half.set()
        go_on.wait(60)

    # other bytes than any other test's: the portal is asked how often it took them in
    rows = (b"%d;%d\n" % (row, row * 7919) for row in range(1_000_000))
    large = b"".join([f"{served.dataset};b\n".encode(), *rows])
    with Proxy(served.portal.url) as proxy:
        proxy.rule("POST .*/upload/", on_bytes=(len(large) // 2, hold), times=1)
        served.url = proxy.url
        served.configure()
        served.start()
        sha1 = served.drop("large.csv", large)
        before = served.pid()
        assert half.wait(60), served.told()
        assert not served.resources()
        # an upload that waits is no hang: the watchdog, of four seconds here, is fed all the while
        fed = served.fed()
        wait_until(lambda: served.fed() > fed + 6, 30, "the watchdog is fed")
        assert served.pid() == before

        served.stop()

        assert served.server.show(UNIT, "Result") == "success"
        go_on.set()
        served.start()
        served.until_published(sha1)
        served.stop()
    assert [one["sha1"] for one in served.portal.stored].count(sha1) == 1


def test_without_its_key_it_does_not_start_and_a_person_is_told(served: Served) -> None:
    served.server.path("/etc/publisher-daemon/api-key").unlink()
    served.override("[Service]\nRestartSec=50ms\n")
    told = served.server.path("/run/told")
    served.server.write(
        "/etc/publisher-daemon/alert", "#!/bin/sh\n{ echo $1; cat; } >/run/told\n", 0o755
    )

    started = served.server.run("systemctl", "start", UNIT, check=False)

    assert started.returncode != 0
    wait_until(told.exists, 30, "the alert ran")
    wait_until(lambda: "Loaded:" in told.read_text(), 10, "the unit's state was handed over")
    assert told.read_text().startswith(UNIT)
    wait_until(lambda: served.server.show(UNIT, "ActiveState") == "failed", 30, "it gave up")
    assert served.server.show(UNIT, "ExecMainStatus") == "243"
    critical = served.server.journal("-p", "crit", "-t", "publisher-daemon", since=served.since)
    assert [UNIT in entry["MESSAGE"] for entry in critical] == [True]


def test_a_line_of_the_journal_is_found_by_its_fields_and_explained(served: Served) -> None:
    served.start()
    served.until_published(served.drop("a.csv", SMALL))

    created = served.until_said("resource.created")

    assert created["_SYSTEMD_UNIT"] == UNIT
    assert created["DATASET"] == served.dataset
    assert created["PATH"] == "a.csv"
    assert created["RESOURCE_ID"]
    assert served.portal.tokens["prod"] not in served.told()
    served.configure(more="quite = 3", shown=False)
    served.server.run("systemctl", "reload", UNIT)
    served.until_said("config.refused")
    explained = served.server.run("journalctl", "--no-pager", "-x", "EVENT=config.refused").stdout
    assert "publisher-daemon check" in explained


def test_a_share_that_systemd_mounts_is_there_when_the_service_starts(served: Served) -> None:
    served.server.write(
        "/etc/systemd/system/srv-late.mount",
        "[Mount]\nWhat=/srv/far\nWhere=/srv/late\nType=none\nOptions=bind\n",
    )
    served.server.run("mkdir", "-p", "/srv/far", "/srv/late")
    served.configure(folders=("/srv/late",))
    sha1 = served.drop("a.csv", SMALL, "/srv/far")

    served.start()

    served.until_published(sha1)
    served.stop()
    served.server.run("systemctl", "stop", "srv-late.mount")


def test_a_share_mounted_after_the_start_is_published_and_its_loss_withdraws_nothing(
    served: Served,
) -> None:
    served.start()
    served.until_published()
    served.server.run("mount", "-t", "tmpfs", "share", FOLDER)
    try:
        served.until_said("watcher.rebuilt")
        sha1 = served.drop("a.csv", SMALL)
        served.until_published(sha1)
        served.server.run("umount", "--lazy", FOLDER)

        assert FOLDER in str(served.until_said("folder.lost"))

        served.server.run("mount", "-t", "tmpfs", "share", FOLDER)
        other = served.drop("b.csv", b"b\n")
        served.until_said("folder.returned", within=60)
        served.until_published(sha1, other)
    finally:
        served.stop()
        served.server.run("umount", "--lazy", FOLDER, check=False)


def test_a_folder_in_the_root_of_a_container_is_published(served: Served) -> None:
    # the guest's root is an overlay of a disk and of memory
    inside = "/opt/opendata"
    served.server.run("mkdir", "-p", inside)
    assert served.server.run("stat", "-f", "-c", "%T", inside).stdout.strip() == "overlayfs"
    served.configure(folders=(inside,))
    sha1 = served.drop("a.csv", SMALL, inside)
    try:
        served.start()
        served.until_published(sha1)
        served.until_published(sha1, served.drop("b.csv", b"b\n", inside))
    finally:
        served.server.run("rm", "-rf", inside)


def test_behind_a_proxy_and_with_an_authority_of_the_systems_store(served: Served) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    known = "/usr/local/share/ca-certificates/test.crt"
    with Proxy(served.portal.url, context) as portal, Scripted(tunnel) as proxy:
        served.url = portal.url
        key = 'api_key_file = "/etc/publisher-daemon/api-key"'
        served.configure(portal=f'proxy = "{proxy.url}"\n{key}')
        refused = served.server.run("publisher-daemon", "check", check=False)
        assert "not trusted" in refused.stdout + refused.stderr
        served.server.write(known, authority.cert_pem.bytes().decode())
        served.server.run("update-ca-certificates")
        try:
            served.server.run("publisher-daemon", "check")
            served.start()
            served.until_published(served.drop("a.csv", SMALL))
            served.stop()
        finally:
            served.server.run("rm", known)
            served.server.run("update-ca-certificates", "--fresh")
        assert proxy.connections
        assert portal.seen("POST .*/upload/")


def test_a_folder_that_is_missing_is_told_and_stops_no_other(served: Served) -> None:
    served.configure(folders=(FOLDER, "/srv/opendata/gone"))
    served.start()

    sha1 = served.drop("a.csv", SMALL)
    served.until_published(sha1)

    assert "gone" in str(served.until_said("folder.lost"))
    served.server.run("mkdir", "/srv/opendata/gone")
    # whoever asks root's `check` is told of the sandbox, which root is not in
    checked = served.check()
    assert "not shown the folder /srv/opendata/gone: it was started without it" in checked
    other = served.drop("b.csv", b"b\n", "/srv/opendata/gone")
    served.server.run("systemctl", "restart", UNIT)
    served.until_published(sha1, other)


def test_a_folder_made_anew_is_told_and_withdraws_nothing(served: Served) -> None:
    served.configure(folder='when_deleted = "withdraw"\nmax_withdraw = "100%"')
    served.start()
    sums = [served.drop(f"{name}.csv", f"{name}\n1\n".encode()) for name in "ab"]
    served.until_published(*sums)

    # the sandbox follows the directory, wherever it goes, and however it ends
    served.server.run("mv", FOLDER, "/srv/opendata/old")
    served.server.run("mkdir", FOLDER)
    later = served.drop("c.csv", b"c\n1\n")
    served.server.run("rm", "-r", "/srv/opendata/old")

    assert "made anew" in str(served.until_said("folder.lost"))
    assert "shown another directory than /srv/opendata/air is now" in served.check()
    assert sorted(served.resources().values()) == sorted(sums)
    served.server.run("systemctl", "restart", UNIT)
    wait_until(lambda: later in served.resources().values(), 45, "the new folder is published")


def test_a_folder_that_only_root_may_read_is_found_before_the_start(served: Served) -> None:
    served.drop("a.csv", SMALL)
    served.server.run("chmod", "0700", FOLDER)

    assert f"“publisher-daemon” may not read the folder {FOLDER}" in served.check()

    served.server.run("setfacl", "-R", "-m", "u:publisher-daemon:rX", FOLDER)
    assert "Ready" in served.check()
    served.server.run("setfacl", "-b", FOLDER)
    served.override("[Service]\nSupplementaryGroups=daemon\n")
    served.server.run("chmod", "0750", FOLDER)
    served.server.run("chgrp", "daemon", FOLDER)
    assert "Ready" in served.check()
    served.server.run("chmod", "0600", f"{FOLDER}/a.csv")
    assert f"“publisher-daemon” may not read “{FOLDER}/a.csv”" in served.check()


def test_folders_of_a_group_and_folders_with_an_acl_are_read(served: Served) -> None:
    group, acl = "/srv/opendata/group", "/srv/opendata/acl"
    served.server.run("mkdir", "-p", group, acl)
    served.server.run("systemd-sysusers", "-", text="g producers -\n")
    served.server.run("chgrp", "producers", group)
    served.server.run("chmod", "2750", group)
    served.server.run("chmod", "0700", acl)
    one = served.drop("a.csv", SMALL, group)
    two = served.drop("b.csv", b"b\n", acl)
    served.server.run("chgrp", "producers", f"{group}/a.csv")
    served.server.run("chmod", "0640", f"{group}/a.csv", f"{acl}/b.csv")
    served.server.run("setfacl", "-R", "-m", "u:publisher-daemon:rX", acl)
    served.configure(folders=(group, acl))
    served.override("[Service]\nSupplementaryGroups=producers\n")

    served.start()

    served.until_published(one, two)


PROBE = """
import json, os, socket
def tried(action, *args):
    try:
        action(*args)
    except OSError as error:
        return error.strerror
    return "done"
def write(path):
    with open(path, "w"):
        pass
found = {
    "as root": os.geteuid() == 0,
    "write in the folder": tried(write, "/srv/opendata/air/x"),
    "write in /etc": tried(write, "/etc/publisher-daemon/x"),
    "write in /usr": tried(write, "/usr/x"),
    "write in /tmp": tried(write, "/tmp/x"),
    "read the key": tried(open, "/etc/publisher-daemon/api-key"),
    "read the credential": tried(open, os.environ["CREDENTIALS_DIRECTORY"] + "/api-key"),
    "read another folder": tried(os.listdir, "/srv/opendata/other"),
    "read homes": tried(os.listdir, "/home/anne"),
    "read the folder": tried(os.listdir, "/srv/opendata/air"),
    "raw socket": tried(socket.socket, socket.AF_PACKET, socket.SOCK_RAW),
    "other processes": any(name == "1" for name in os.listdir("/proc")),
}
with open("/var/lib/publisher-daemon/probe.json", "w") as out:
    json.dump(found, out)
"""


def test_the_sandbox_shows_the_folders_and_lets_write_the_state_only(served: Served) -> None:
    served.server.run("mkdir", "-p", "/srv/opendata/other", "/home/anne")
    served.server.write("/usr/local/lib/probe.py", PROBE)
    served.override(
        "[Service]\nType=oneshot\nRestart=no\nExecStart=\n"
        "ExecStart=/usr/lib/publisher-daemon/venv/bin/python -I /usr/local/lib/probe.py\n"
    )

    served.start()

    found = json.loads(served.server.path("/var/lib/publisher-daemon/probe.json").read_text())
    done = {name for name, answer in found.items() if answer in ("done", True)}
    assert done == {"write in /tmp", "read the credential", "read the folder"}, found
