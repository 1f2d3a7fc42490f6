"""What Tally is measured beside: DuckDB, ClickHouse (chdb) and GoAccess, on the same files."""

import subprocess
import sys
import time
from pathlib import Path

import duckdb

COLUMNS = {
    "ts": "TIMESTAMP",
    "service": "VARCHAR",
    "method": "VARCHAR",
    "url": "VARCHAR",
    "status": "USMALLINT",
    "bytes": "BIGINT",
    "duration_ms": "DOUBLE",
    "user_agent": "VARCHAR",
    "cache": "VARCHAR",
    "api_key": "VARCHAR",
    "sdk": "VARCHAR",
    "project_uid": "VARCHAR",
    "environment_uid": "VARCHAR",
    "domain": "VARCHAR",
}

# The reports of one organization over all days, services cdn and cma, by day, in the words of both.
DAY = {"duckdb": "cast(ts as date)", "clickhouse": "toDate(ts)"}
WHERE = "where org = 'o1' and service in ('cdn', 'cma')"
REPORTS = {
    "devices": "select {day} as day, service, user_agent, count(*) as n from t {where} "
    "group by day, service, user_agent order by n desc",
    "sdk": "select {day} as day, service, sdk, count(*) as n from t {where} and sdk is not null "
    "group by day, service, sdk order by n desc",
    "http-statuses": "select {day} as day, service, status, count(*) as n from t {where} "
    "group by day, service, status order by day",
    "hit-miss-ratio": "select {day} as day, service, cache, count(*) as n from t {where} and cache is not null "
    "group by day, service, cache order by day",
    "usage": "select {day} as day, service, count(*) as n, sum(bytes) as b from t {where} "
    "group by day, service order by day",
    "url": "select url, service, count(*) as n from t {where} group by url, service order by n desc limit 900",
}


def sql(report: str, engine: str) -> str:
    """A report in the engine's words."""
    return REPORTS[report].format(day=DAY[engine], where=WHERE)


def source(file: Path) -> str:
    """A file of lines as DuckDB reads it, with the types said."""
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())
    return f"read_json('{file}', format = 'newline_delimited', columns = {{{columns}}})"


def timed(work) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_process(*arguments) -> float:
    """The same in a Python process of its own, less what it takes to start one and import the engine."""
    said = subprocess.run([sys.executable, __file__, *map(str, arguments)], capture_output=True, text=True, check=True)
    return float(said.stdout.split()[-1])


def duckdb_to_parquet(file: Path, parquet: Path) -> float:
    """NDJSON to one zstd Parquet file."""
    db = duckdb.connect()
    return timed(lambda: db.execute(f"copy (from {source(file)}) to '{parquet}' (format parquet, compression zstd)"))


def duckdb_to_table(file: Path) -> float:
    """NDJSON to a table in memory."""
    db = duckdb.connect()
    return timed(lambda: db.execute(f"create table t as select * from {source(file)}"))


def clickhouse_to_table(file: Path, folder: Path) -> float:
    """NDJSON to a MergeTree table."""
    session = clickhouse(folder)
    return timed(lambda: session.query(clickhouse_insert(file, "o1")))


def clickhouse(folder: Path):
    """A session with an empty table."""
    from chdb import session

    opened = session.Session(str(folder))
    kinds = {"TIMESTAMP": "DateTime64(3)", "USMALLINT": "UInt16", "BIGINT": "Int64", "DOUBLE": "Nullable(Float64)"}
    columns = ", ".join(f"{name} {kinds.get(kind, 'Nullable(String)')}" for name, kind in COLUMNS.items())
    columns = columns.replace("service Nullable(String)", "service LowCardinality(String)")
    opened.query("create database if not exists b")
    opened.query(f"create table b.t (org LowCardinality(String), {columns}) engine = MergeTree order by (org, service, ts)")
    opened.query("use b")
    return opened


def clickhouse_insert(file: Path, org: str) -> str:
    """The statement that takes a file in."""
    kinds = {"TIMESTAMP": "DateTime64(3)", "USMALLINT": "UInt16", "BIGINT": "Int64", "DOUBLE": "Nullable(Float64)"}
    columns = ", ".join(f"{name} {kinds.get(kind, 'Nullable(String)')}" for name, kind in COLUMNS.items())
    settings = "settings date_time_input_format = 'best_effort'"
    return f"insert into b.t select '{org}', * from file('{file}', JSONEachRow, '{columns}') {settings}"


def duckdb_reports(files: list[Path], repeats: int) -> dict[str, float]:
    """Best times of the reports on a table in memory that is sorted by organization and time."""
    db = duckdb.connect()
    parts = [f"select 'o{number}' as org, * from {source(file)}" for number, file in enumerate(files, 1)]
    db.execute(f"create table t as select * from ({' union all '.join(parts)}) order by org, ts")
    best = {}
    for report in REPORTS:
        statement = f"create or replace temp table answer as {sql(report, 'duckdb')}"
        best[report] = min(timed(lambda: db.execute(statement)) for _ in range(repeats))
    db.close()
    return best


def clickhouse_reports(files: list[Path], folder: Path, repeats: int) -> dict[str, float]:
    """Best times of the reports on a MergeTree table ordered by organization, service and time."""
    session = clickhouse(folder)
    for number, file in enumerate(files, 1):
        session.query(clickhouse_insert(file, f"o{number}"))
    session.query("optimize table b.t final")
    return {
        report: min(timed(lambda: session.query(sql(report, "clickhouse"), "Null")) for _ in range(repeats))
        for report in REPORTS
    }


def combined(file: Path, lines: int, out: Path) -> None:
    """The first events of a file as Combined log lines."""
    query = f"""
        select '203.0.113.' || (hash(url) % 250) || ' - - [' || strftime(ts, '%d/%b/%Y:%H:%M:%S +0000') || '] "'
            || method || ' ' || replace(url, '"', '%22') || ' HTTP/1.1" ' || status || ' ' || bytes || ' "-" "'
            || replace(user_agent, '"', '') || '"' as line
        from (select * from {source(file)} limit {lines})"""
    db = duckdb.connect()
    db.execute("set preserve_insertion_order = true")
    db.execute(f"copy ({query}) to '{out}' (format csv, header false, quote '', escape '', delimiter '\\x01')")


def many_urls(urls: int, out: Path) -> None:
    """Events of one day, each with a URL of its own."""
    query = f"""
        select '2026-11-20T10:00:00Z' as ts, 'cdn' as service, 200 as status, 1 as bytes,
            'https://cdn.example.com/v3/assets/' || md5(i::varchar) || '/' || i as url
        from range({urls}) as numbers (i)"""
    duckdb.connect().execute(f"copy ({query}) to '{out}' (format json)")


def goaccess(log: Path, out: Path) -> float:
    """A Combined log to GoAccess's report."""
    command = ["goaccess", str(log), "--log-format=COMBINED", "--no-global-config", "-o", str(out)]
    return timed(lambda: subprocess.run(command, check=True, capture_output=True))


def versions() -> dict[str, str]:
    """Of everything that is measured beside Tally."""
    import importlib.metadata

    access = subprocess.run(["goaccess", "--version"], capture_output=True, text=True, check=False).stdout
    return {
        "DuckDB": duckdb.__version__,
        "chdb": importlib.metadata.version("chdb"),
        "GoAccess": access.splitlines()[0].split()[-1].rstrip(".") if access else "not installed",
    }


if __name__ == "__main__":
    name, *rest = sys.argv[1:]
    print(globals()[name](*map(Path, rest)))
