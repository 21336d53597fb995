"""The numbers as Prometheus would see them: the page, the file, the rules and the dashboard."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from producer import Producer
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from proxy import Proxy
from waiting import wait_until

from publisher_daemon.metrics import Now, WatchNow
from publisher_daemon.metrics.numbers import Metrics
from publisher_daemon.model import DatasetId, State

MONITORING = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"
RULES = MONITORING / "publisher-daemon.rules.yml"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(text: str) -> dict[tuple[str, str], float]:
    """Values by (name, "label=value,…" without the dataset)."""
    return {
        (
            sample.name,
            ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()) if k != "dataset"),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def known() -> set[str]:
    """Every name the program can give."""
    metrics = Metrics(lambda: 0.0)
    place = (DatasetId("d"), "f")
    metrics.look = lambda: Now(
        standings={(place, State.HELD): (1, 0.0)},
        places=(place,),
        key_ends=1.0,
        watches=(WatchNow(*place, "events", 0),),
        missing={place: 1},
        ledger_bytes=1,
    )
    registry: CollectorRegistry = metrics.registry
    names = {family.name for family in registry.collect()}
    suffixes = ("", "_total", "_bucket", "_sum", "_count")
    return {name + suffix for name in names for suffix in suffixes} | {"up"}


def test_the_page_counts_what_was_published_and_what_was_not(
    distant: Producer, proxy: Proxy
) -> None:
    port = free_port()
    distant.more = f'[metrics]\nlisten = "127.0.0.1:{port}"\n'
    distant.drop("a.csv", b"a;b\n")
    distant.drop("secret name.parquet", b"x")
    with distant.start() as service:
        service.wait_for("resource.created")
        service.wait_for("action.held")
        url = f"http://127.0.0.1:{port}"
        wait_until(
            lambda: samples(get(f"{url}/metrics")[1]).get(
                ("publisher_publications_total", "folder=depot,result=created")
            ),
            10,
            "the publication counted",
        )
        found = samples(get(f"{url}/metrics")[1])
        text = get(f"{url}/metrics")[1]
        alive, ready = get(f"{url}/livez"), get(f"{url}/readyz")
        proxy.rule(".*", status=401, body=b"{}", content_type="application/json")
        distant.drop("b.csv", b"b\n")
        wait_until(lambda: get(f"{url}/readyz")[0] == 503, 20, "no more readiness")
        refused = samples(get(f"{url}/metrics")[1])
        service.stop()

    assert found["publisher_published_bytes_total", "folder=depot"] == 4
    assert found["publisher_publication_seconds_count", "folder=depot"] == 1
    assert found["publisher_files", "folder=depot,state=held"] == 1
    assert found["publisher_circuit_open", ""] == 0
    assert found["publisher_portal_requests_total", "code=201,method=POST"] == 1
    modes = [found["publisher_watcher_mode", f"folder=depot,mode={one}"] for one in ("events",)]
    assert modes == [1]
    assert found["publisher_last_success_timestamp_seconds", "folder=depot"] > 0
    assert found["publisher_last_scan_timestamp_seconds", "folder=depot"] > 0
    assert "secret name" not in text
    assert "csv" not in text
    assert (alive, ready) == ((200, "ok\n"), (200, "ok\n"))
    assert refused["publisher_key_refused", ""] == refused["publisher_circuit_open", ""] == 1
    if shutil.which("promtool"):
        subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=True)


def test_a_single_pass_leaves_the_numbers_in_a_file(producer: Producer) -> None:
    target = producer.home / "collector" / "publisher.prom"
    target.parent.mkdir()
    producer.more = f'[metrics]\ntextfile = "{target}"\n'
    producer.drop("a.csv", b"a;b\n")

    producer.once()

    found = samples(target.read_text())
    assert found["publisher_publications_total", "folder=depot,result=created"] == 1
    assert [path.name for path in target.parent.iterdir()] == ["publisher.prom"]


def test_a_file_that_cannot_be_written_stops_nothing(producer: Producer) -> None:
    producer.more = f'[metrics]\ntextfile = "{producer.home}/nowhere/x.prom"\n'
    producer.drop("a.csv", b"a;b\n")

    done = producer.call("once")

    assert done.returncode == 0
    assert '"metrics.failed"' in done.stderr


def test_rules_and_dashboard_ask_for_numbers_that_exist() -> None:
    asked = RULES.read_text() + (MONITORING / "grafana-dashboard.json").read_text()
    names = set(re.findall(r"\bpublisher_[a-z_]+", asked))

    assert len(names) > 10
    assert names - known() == set()


def lost(written: Any, read: Any, at: str = "") -> Iterator[str]:
    """What of one document does not come back in the other."""
    if isinstance(written, dict) and isinstance(read, dict):
        for name, value in written.items():
            yield from lost(value, read.get(name), f"{at}/{name}")
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for number, pair in enumerate(zip(written, read, strict=True)):
            yield from lost(*pair, f"{at}/{number}")
    elif written != read:
        yield at


def test_grafanas_own_models_read_the_whole_dashboard() -> None:
    """What they do not know, Grafana passes over: a misspelt option is an option not set."""
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    plugins.register_default_plugins()

    def come_back(written: dict[str, Any]) -> list[str]:
        read = JSONEncoder(sort_keys=True).encode(Dashboard.from_json(written))
        return list(lost(written, json.loads(read)))

    assert come_back(dashboard) == []
    # and this would tell: of a dashboard, of a panel's options, of a question to Prometheus
    misspelt = dashboard["panels"][0]
    misspelt["options"]["grafMode"] = misspelt["targets"][0]["exprr"] = dashboard["tiem"] = "x"
    assert come_back(dashboard) == [
        "/panels/0/targets/0/exprr",
        "/panels/0/options/grafMode",
        "/tiem",
    ]


def test_no_panel_of_the_dashboard_covers_another() -> None:
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())

    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["targets"]
        assert {"x", "y", "w", "h"} == set(panel["gridPos"])
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & places, panel["title"]
        assert max(x for x, _ in cells) < 24
        places |= cells


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[tuple[int, Callable[[str], list[Any]]]]:
    """Run a real Prometheus with our rules; gives the port it reads, and what asks it."""
    daemon, own = free_port(), free_port()
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{RULES}]\n"
        "scrape_configs:\n  - job_name: publisher-daemon\n"
        f"    static_configs: [{{ targets: ['127.0.0.1:{daemon}'] }}]\n"
    )
    running = subprocess.Popen(
        ["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}",
         f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{own}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def ask(what: str) -> list[Any]:
        status, text = get(f"http://127.0.0.1:{own}/api/v1/{what}")
        assert status == 200, text
        found = json.loads(text)["data"]
        return list(found.get("result") or found.get("groups") or [])

    def ready() -> bool:
        with contextlib.suppress(urllib.error.URLError):
            return get(f"http://127.0.0.1:{own}/-/ready")[0] == 200
        return False

    try:
        wait_until(ready, 30, "Prometheus is ready")
        yield daemon, ask
    finally:
        running.terminate()
        running.wait(20)


@pytest.mark.promtool
@pytest.mark.needs("prometheus")
def test_every_panel_shows_the_numbers_of_a_running_daemon(
    producer: Producer, prometheus: tuple[int, Callable[[str], list[Any]]]
) -> None:
    port, ask = prometheus
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    panels = {
        panel["title"]: target["expr"].replace("$instance", ".*")
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
    producer.more = f'[metrics]\nlisten = "127.0.0.1:{port}"\n'
    producer.folder_settings["expect"] = '"daily by 00:01"'
    producer.drop("a.csv", b"a;b\n")

    def asked(expression: str) -> list[Any]:
        return ask(f"query?{urlencode({'query': expression})}")

    with producer.start() as service:
        service.wait_for("resource.created")
        wait_until(lambda: asked("publisher_last_success_timestamp_seconds"), 20, "a scrape")
        producer.drop("b.csv", b"a;b\n")
        service.wait_for("resource.created", 2)
        wait_until(lambda: asked("increase(publisher_publications_total[1h]) > 0"), 20, "a rate")
        assert asked("publisher_build_info"), "what the choice of a server is made from"
        shown = {title for title, expression in panels.items() if asked(expression)}
        groups = ask("rules")
        service.stop()

    # nothing failed and the key of this portal does not end: those two have nothing to show
    assert {*panels} - shown <= {"Failed tries an hour, by reason", "API key ends in"}
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}


@pytest.mark.promtool
def test_every_rule_fires_on_its_trouble_and_not_before() -> None:
    tested = MONITORING / "publisher-daemon.test.yml"
    done = subprocess.run(
        ["promtool", "test", "rules", str(tested)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    assert alerts == set(re.findall(r"alertname: (\w+)", tested.read_text()))
