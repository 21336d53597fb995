"""The operations page, done: the disk is lost, another server takes over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from launcher import Sandbox
from machine import Machine
from made import Made
from roots import BOOKWORM, TRIXIE, Release, root
from served import UNIT, Served

KEY = 'api_key_file = "/etc/publisher-daemon/api-key"'


@contextmanager
def installed(release: Release, made: Made, portal: Sandbox, dataset: str) -> Iterator[Served]:
    package = made.deb(release)
    with Machine(root(release), "moved", show={package.parent: "/mnt"}) as server:
        server.run("dpkg", "-i", f"/mnt/{package.name}")
        served = Served(server, portal, dataset)
        served.set_up()
        served.configure(portal=KEY)
        yield served


def test_a_new_server_without_the_ledger_takes_over_and_sends_nothing_twice(
    made: Made, portal: Sandbox, dataset: str
) -> None:
    files = {name: f"{dataset};{name}\n1;2\n".encode() for name in ("a.csv", "b.csv")}

    def there() -> dict[str, str]:
        page = portal.call("GET", f"2/datasets/{dataset}/resources/")
        return {each["id"]: each["checksum"]["value"] for each in page["data"]}

    with installed(BOOKWORM, made, portal, dataset) as old:
        old.start()
        sums = [old.drop(name, content) for name, content in files.items()]
        old.until_published(*sums)
        old.stop()
        before = there()

    with installed(TRIXIE, made, portal, dataset) as new:
        for name, content in files.items():
            new.drop(name, content)
        new.server.run("publisher-daemon", "check")
        new.server.run("publisher-daemon", "plan")
        new.start()
        later = new.drop("c.csv", f"{dataset};c\n1;2\n".encode())
        new.until_published(*sums, later)

        assert new.server.run("publisher-daemon", "status").returncode == 0
        assert new.server.show(UNIT, "NRestarts") == "0"
    assert before.items() <= there().items()
    stored = [one["sha1"] for one in portal.stored]
    assert [stored.count(each) for each in (*sums, later)] == [1, 1, 1]
