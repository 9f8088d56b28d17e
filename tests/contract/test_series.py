"""The promises of the series store: on the embedded process, and on any server named in the environment."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import clickhouse_connect
import pytest
import pytest_asyncio

from anwang.kernel.errors import AnwangError, Exhausted, Internal, Invalid, Unauthenticated, Unavailable, Unsupported
from anwang.stores.series import DURABLE, EmbeddedSeries, Series, Step, spawn_embedded

SERVER = os.environ.get("ANWANG_TEST_CLICKHOUSE_URL", "")
SERVER_TOKEN = os.environ.get("ANWANG_TEST_CLICKHOUSE_PASSWORD")
START = datetime(2026, 11, 22, 8, tzinfo=UTC)
TINY = ("--readers", "2", "--queue", "2", "--statement-s", "2", "--memory", "200000000", "--largest-body", "8000000")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedSeries]:
    """One process for the whole module, with small bounds; each test has a database of its own in it."""
    engine = await spawn_embedded(tmp_path_factory.mktemp("series") / "db", options=TINY)
    yield engine
    await engine.stop()
    assert engine.process.returncode == 0


@pytest.fixture(params=["embedded", *(["server"] if SERVER else [])])
async def series(request: pytest.FixtureRequest, embedded: EmbeddedSeries) -> AsyncIterator[Series]:
    """A database of the test's own."""
    url, token = (embedded.url, embedded.token) if request.param == "embedded" else (SERVER, SERVER_TOKEN)
    name = f"anwang_test_{uuid.uuid4().hex[:12]}"
    admin = await Series.open(url, token)
    await admin.execute(f"CREATE DATABASE {name}")
    opened = await Series.open(url.partition("?")[0] + f"?database={name}", token)
    yield opened
    await opened.close()
    await admin.execute(f"DROP DATABASE {name}")
    await admin.close()


PASSES = f"""
CREATE TABLE passes (
    id UInt64, plate LowCardinality(String), at DateTime64(6, 'UTC'), speed Nullable(Float32), lanes Array(UInt8)
) ENGINE = MergeTree ORDER BY id SETTINGS {DURABLE}, non_replicated_deduplication_window = 100
"""
COLUMNS = ["id", "plate", "at", "speed", "lanes"]


def passes(start: int, count: int) -> list[list[object]]:
    ids = range(start, start + count)
    return [
        list(ids),
        [f"安A{number:05d}" for number in ids],
        [START + timedelta(microseconds=number) for number in ids],
        [None if number % 3 == 0 else number / 2 for number in ids],
        [[number % 4, 7] for number in ids],
    ]


async def test_rows_come_back_as_they_went_in(series: Series) -> None:
    await series.execute(PASSES)
    assert await series.insert("passes", COLUMNS, passes(0, 500)) == 500
    assert await series.insert("passes", COLUMNS, passes(500, 0)) == 0
    rows = await series.query("SELECT * FROM passes ORDER BY id")
    assert rows.names == tuple(COLUMNS)
    assert list(rows) == list(zip(*passes(0, 500), strict=True))
    assert rows.named()[1] == dict(zip(COLUMNS, rows[1], strict=True))


async def test_values_are_bound_whatever_they_hold(series: Series) -> None:
    nasty = "a'b\\c\td\n\0`安`{x:String} %s; DROP TABLE x -- "
    rows = await series.query(
        "SELECT {text:String} AS text, {number:Int64}, {at:DateTime64(6, 'UTC')}, {many:Array(String)}",
        {"text": nasty, "number": -(1 << 62), "at": START, "many": ["x'", "y\\"]},
    )
    assert rows == [(nasty, -(1 << 62), START, ["x'", "y\\"])]
    with pytest.raises(Internal, match="pasted"):
        await series.query("SELECT %(text)s", {"text": nasty})


async def test_a_long_list_of_values_is_bound_too(series: Series) -> None:
    plates = [f"安A{number:05d}" for number in range(20_000)]
    rows = await series.query("SELECT length({plates:Array(String)})", {"plates": plates})
    assert rows == [(20_000,)]


async def test_the_same_insert_sent_twice_counts_once(series: Series) -> None:
    await series.execute(PASSES)
    for _ in range(3):
        await series.insert("passes", COLUMNS, passes(0, 100), once="log 1 offset 0")
    await series.insert("passes", COLUMNS, passes(0, 100), once="log 1 offset 100")
    assert await series.query("SELECT count() FROM passes") == [(200,)]
    for _ in range(2):
        await series.insert("passes", COLUMNS, passes(100, 100))  # equal rows are taken for the same insert
    assert await series.query("SELECT count() FROM passes") == [(300,)]


async def test_inserts_and_queries_beside_each_other_all_succeed(series: Series) -> None:
    await series.execute(PASSES)

    async def put(number: int) -> None:
        await series.insert("passes", COLUMNS, passes(number * 100, 100))

    async def look() -> None:
        ((count,),) = await series.query("SELECT count() FROM passes")
        assert count % 100 == 0  # an insert is seen whole or not at all

    for turn in range(3):
        await asyncio.gather(*(put(turn * 3 + number) for number in range(3)), *(look() for _ in range(3)))
    assert await series.query("SELECT count(), uniqExact(id) FROM passes") == [(900, 900)]


async def test_wrong_inserts_are_refused_and_leave_nothing(series: Series) -> None:
    await series.execute(PASSES)
    with pytest.raises(Invalid):
        await series.insert("passes", COLUMNS[:2], passes(0, 5))
    with pytest.raises(Invalid):
        await series.insert("passes", ["id", "plate"], [[1, 2], ["a"]])
    with pytest.raises(Invalid):
        await series.insert("passes; DROP TABLE passes", ["id"], [[1]])
    with pytest.raises(Internal):
        await series.insert("passes", ["id", "no_such"], [[1], [1]])
    with pytest.raises(Internal):
        await series.insert("no_such", ["id"], [[1]])
    assert await series.query("SELECT count() FROM passes") == [(0,)]


async def test_a_table_that_changed_is_described_again(series: Series) -> None:
    await series.execute("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    await series.insert("t", ["a"], [[1]])
    await series.execute("ALTER TABLE t ADD COLUMN b String")
    await series.insert("t", ["a", "b"], [[2], ["two"]])
    await series.execute("DROP TABLE t")
    await series.execute("CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a")
    with pytest.raises(Invalid, match="fit"):
        await series.insert("t", ["a"], [["x"]])  # with the types it remembers
    await series.insert("t", ["a"], [["x"]])
    assert await series.query("SELECT a FROM t") == [("x",)]


async def test_steps_run_once_in_order(series: Series) -> None:
    one = Step(name="tests 0001", sql="CREATE TABLE IF NOT EXISTS t (a UInt8) ENGINE = MergeTree ORDER BY a")
    two = Step(name="tests 0002", sql="ALTER TABLE t ADD COLUMN IF NOT EXISTS b String")
    assert await series.migrate([one]) == ["tests 0001"]
    assert await series.migrate([one, two]) == ["tests 0002"]
    assert await series.migrate([one, two]) == []
    await series.insert("t", ["a", "b"], [[1], ["x"]])
    with pytest.raises(Internal, match="edited"):
        await series.migrate([one, Step(name="tests 0002", sql="SELECT 1")])
    with pytest.raises(Unsupported, match="0002"):
        await series.migrate([one])
    with pytest.raises(Internal, match="same name"):
        await series.migrate([one, one])


class TestEmbedded:
    """What only our own process promises."""

    @pytest.fixture
    async def series(self, embedded: EmbeddedSeries) -> AsyncIterator[Series]:
        opened = await Series.open(embedded.url, embedded.token, wait_s=20)
        yield opened
        await opened.close()

    async def test_the_token_is_required(self, embedded: EmbeddedSeries) -> None:
        for token in (None, "", "wrong", embedded.token + "x"):
            with pytest.raises(Unauthenticated):
                await Series.open(embedded.url, token)

    async def test_the_stock_client_with_its_own_defaults_is_served(self, embedded: EmbeddedSeries) -> None:
        parts = urlsplit(embedded.url)

        def use(**options: object) -> None:
            client = clickhouse_connect.get_client(
                host=parts.hostname, port=parts.port, username="default", password=embedded.token, **options
            )
            assert client.ping()
            table = f"t_{uuid.uuid4().hex[:8]}"
            client.command(f"CREATE TABLE {table} (a UInt32, b LowCardinality(String)) ENGINE = MergeTree ORDER BY a")
            client.insert(table, [[number, str(number % 7)] for number in range(20_000)], ["a", "b"])
            assert client.command(f"SELECT count() FROM {table}") == 20_000
            rows = client.query(
                f"SELECT a, b FROM {table} WHERE a < {{most:UInt32}} ORDER BY a",
                {"most": 3},
                settings={"max_threads": 1},
            )
            assert rows.result_rows == [(0, "0"), (1, "1"), (2, "2")]
            assert client.query(f"SELECT a, b FROM {table} LIMIT 0").column_names == ("a", "b")
            assert client.raw_query(f"SELECT a FROM {table} LIMIT 2", fmt="CSV") == b"0\n1\n"
            client.raw_insert(table, ["a", "b"], b"7,x\n8,y\n", fmt="CSV", compression=None)
            assert client.command(f"SELECT sum(a) FROM {table} WHERE b IN ('x', 'y')") == 15
            assert client.command(f"INSERT INTO {table} VALUES (9, 'v')").written_rows == 1
            assert sum(len(block) for block in stream(client, table)) == 20_003
            client.command(f"DROP TABLE {table}")
            client.close()

        def stream(client: clickhouse_connect.driver.client.Client, table: str) -> list[list[object]]:
            with client.query_row_block_stream(f"SELECT * FROM {table}") as blocks:
                return [list(block) for block in blocks]

        for options in (
            {},
            {"compress": "lz4"},
            {"compress": "zstd"},
            {"compress": "gzip"},
            {"compress": False, "form_encode_query_params": True},
        ):
            await asyncio.to_thread(use, **options)

    async def test_a_statement_is_bounded_in_time_memory_and_result(self, series: Series) -> None:
        with pytest.raises(Unavailable, match="TIMEOUT"):
            await series.query("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1")
        with pytest.raises(Exhausted, match="MEMORY"):
            await series.query("SELECT uniqExact(number) FROM numbers(1000000000)")
        with pytest.raises(Exhausted):
            await series.query("SELECT repeat('x', 1000000) FROM numbers(1000)")
        await series.execute("CREATE TABLE IF NOT EXISTS big (a String) ENGINE = Memory")
        with pytest.raises(Internal, match="larger"):
            await series.insert("big", ["a"], [["x" * 9_000_000]])
        with pytest.raises(clickhouse_connect.driver.exceptions.Error, match="max_execution_time"):
            await asyncio.to_thread(series._client.query, "SELECT 1", settings={"max_execution_time": 999})
        assert await series.query("SELECT 1") == [(1,)]

    async def test_a_setting_of_one_request_is_gone_in_the_next(self, series: Series) -> None:
        client = series._client
        ask = "SELECT getSetting('max_block_size'), getSetting('max_execution_time')"
        usual = await series.query(ask)
        for _ in range(4):  # both readers
            changed = await asyncio.to_thread(
                client.query, ask, settings={"max_block_size": 77, "max_execution_time": 1}
            )
            assert changed.result_rows == [(77, 1.0)]
            assert await series.query(ask) == usual
        with pytest.raises(clickhouse_connect.driver.exceptions.Error):
            await asyncio.to_thread(client.raw_query, "SELECT 1", settings={"max_block_size": "nonsense"})
        assert await series.query(ask) == usual

    async def test_slow_queries_do_not_hold_inserts_up_and_the_queue_is_bounded(self, series: Series) -> None:
        await series.execute("CREATE TABLE IF NOT EXISTS quick (a UInt8) ENGINE = Memory")
        slow = [
            asyncio.create_task(series.query("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"))
            for _ in range(7)
        ]  # 2 run, 2 wait, 3 are turned away
        try:
            while not any(task.done() for task in slow):
                await asyncio.sleep(0.01)
            await series.insert("quick", ["a"], [[1]])
            assert sum(task.done() for task in slow) <= 3
        finally:
            ends = await asyncio.gather(*slow, return_exceptions=True)
        kinds = [type(end) for end in ends]
        assert set(kinds) == {Exhausted, Unavailable}
        assert kinds.count(Exhausted) <= 3  # fewer where the first ran out of time before the last had come

    async def test_the_first_insert_brings_no_data_frames_along(self, embedded: EmbeddedSeries) -> None:
        program = (
            "import asyncio, sys\n"
            "from anwang.stores.series import Series\n"
            "async def main():\n"
            "    series = await Series.open(sys.argv[1], sys.stdin.readline().strip())\n"
            "    await series.execute('CREATE TABLE light (a UInt8) ENGINE = Memory')\n"
            "    await series.insert('light', ['a'], [[1, 2]])\n"
            "    print(await series.query('SELECT sum(a) FROM light'))\n"
            "    await series.close()\n"
            "asyncio.run(main())\n"
            "print({'pandas', 'pyarrow', 'chdb'} & set(sys.modules))\n"
        )
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            embedded.url,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await child.communicate(embedded.token.encode() + b"\n")
        assert told == b"[(3,)]\nset()\n"

    async def test_it_listens_on_loopback_and_tells_its_counters(self, embedded: EmbeddedSeries) -> None:
        base = embedded.url.partition("?")[0]

        def get(path: str, token: str) -> bytes:
            request = urllib.request.Request(base + path, headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                return bytes(answer.read())

        assert await asyncio.to_thread(get, "ping", "") == b"Ok.\n"
        counters = json.loads(await asyncio.to_thread(get, "counters", embedded.token))
        assert counters["done"] > 0
        with pytest.raises(urllib.error.HTTPError, match="401"):
            await asyncio.to_thread(get, "counters", "wrong")


async def test_the_token_is_in_no_command_line_and_its_file_is_private(tmp_path: Path) -> None:
    engine = await spawn_embedded(tmp_path / "db")
    try:
        command = Path(f"/proc/{engine.process.pid}/cmdline").read_bytes()
        assert engine.token.encode() not in command
        assert (tmp_path / "db.token").stat().st_mode & 0o777 == 0o600
        with pytest.raises(Unavailable):  # one process may open a database
            await spawn_embedded(tmp_path / "db", token=engine.token)
    finally:
        await engine.stop()
    assert engine.process.returncode == 0
    await engine.stop()


async def test_stopping_lets_a_running_insert_end(tmp_path: Path) -> None:
    engine = await spawn_embedded(tmp_path / "db")
    series = await Series.open(engine.url, engine.token)
    await series.execute("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    probe = await Series.open(engine.url, engine.token)
    writing = asyncio.create_task(series.execute("INSERT INTO t SELECT sipHash64(number) FROM numbers(3000000)"))
    running = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO t%'"
    while not writing.done() and await probe.query(running) == [(0,)]:
        await asyncio.sleep(0.005)
    engine.process.send_signal(signal.SIGTERM)
    await writing  # answered with success although the process was told to end
    assert await engine.process.wait() == 0
    await series.close()
    await probe.close()
    engine = await spawn_embedded(tmp_path / "db")
    series = await Series.open(engine.url, engine.token)
    ((count,),) = await series.query("SELECT count() FROM t")
    assert count == 3_000_000
    await series.close()
    await engine.stop()


async def test_an_engine_that_is_gone_is_unavailable_and_its_return_is_noticed(tmp_path: Path) -> None:
    engine = await spawn_embedded(tmp_path / "db")
    series = await Series.open(engine.url, engine.token)
    engine.process.kill()
    await engine.process.wait()
    with pytest.raises(Unavailable):
        await series.query("SELECT 1")
    port = urlsplit(engine.url).port or 0
    engine = await spawn_embedded(tmp_path / "db", port=port, token=engine.token)
    assert await series.query("SELECT 1") == [(1,)]
    await series.close()
    await engine.stop()


async def test_the_process_ends_when_its_parent_does(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio, sys, pathlib, signal\n"
        "from anwang.stores.series import spawn_embedded\n"
        "async def main():\n"
        "    engine = await spawn_embedded(pathlib.Path(sys.argv[1]))\n"
        "    print(engine.process.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n",
        str(tmp_path / "db"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(30):
        while Path(f"/proc/{pid}").exists() and b"embedded" in Path(f"/proc/{pid}/cmdline").read_bytes():
            await asyncio.sleep(0.02)
    engine = await spawn_embedded(tmp_path / "db")  # and the database is free again
    await engine.stop()


async def test_urls_that_make_no_sense_are_refused() -> None:
    for url in ("tcp://127.0.0.1:9000", "nonsense", "http://user:password@127.0.0.1:1/"):
        with pytest.raises(Invalid):
            await Series.open(url, None)
    with pytest.raises(Unavailable):
        await Series.open("http://127.0.0.1:1/", "token")


async def test_lines_of_json_become_rows(series: Series) -> None:
    await series.execute(PASSES)
    lines = [
        {"id": 1, "plate": "京A12345", "at": "2026-11-22 08:00:00.000001", "speed": 0.1, "lanes": [1, 2]},
        {"id": 2, "plate": 'a\nb\\c"d\u0000', "unknown": {"of": "another program"}},
    ]
    await series.insert_lines("passes", b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    assert await series.query("SELECT id, plate, lanes FROM passes ORDER BY id") == [
        (1, "京A12345", [1, 2]),
        (2, 'a\nb\\c"d\0', []),
    ]
    for bad in (b'{"id": "x"}\n', b"not JSON\n", b'{"id": 3}\n{"id": 4, "plate": 5'):
        with pytest.raises(AnwangError):
            await series.insert_lines("passes", bad)
    assert await series.query("SELECT count() FROM passes") == [(2,)]
    with pytest.raises(Invalid):
        await series.insert_lines("no table; DROP TABLE passes", b"")
