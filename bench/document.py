"""The tables of docs/benchmarks.md, between its two marks."""

import os
import platform
import subprocess
from datetime import date
from pathlib import Path

BEGIN = "<!-- measured by `make bench` -->\n"
END = "<!-- end of what was measured -->\n"
MIB = 1 << 20
MB = 1_000_000
HEAVY = ("devices", "sdk", "url")
# Answers whose rows are fewer times as many are of one size.
SAME_SIZE = 1.1

# What was measured: what, the value, its bar, whether that is met.
Bar = tuple[str, str, str, str]


def write(path: Path, found: dict, versions: dict[str, str]) -> None:
    """Puts what was found between the marks."""
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    path.write_text(before + BEGIN + tables(found, versions) + END + after, encoding="utf-8")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def tables(found: dict, versions: dict[str, str]) -> str:
    """All of them."""
    parts = [
        where(versions),
        "\n### The bars\n\n",
        table(["what", "measured", "bar", "met"], bars(found)),
        "\n### Events in\n\n",
        events_in(found),
        "\n### Reports\n\n",
        reports(found),
        "\n### Jobs\n\n",
        jobs(found),
        "\n### Pages\n\n",
        pages(found),
    ]
    return "\n" + "".join(parts) + "\n"


def where(versions: dict[str, str]) -> str:
    """The machine and what ran on it."""
    cpu = next(line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // MIB
    rust = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    peers = ", ".join(f"{name} {version}" for name, version in versions.items())
    today = f"{date.today().day} {date.today():%B %Y}"
    return (
        f"Taken on {today} in one run, on {os.cpu_count()} cores of {cpu}, {memory} GiB of memory, Linux {platform.release()},"
        f" with Rust {rust}, {peers}.\n"
    )


def ratio(peer: float, own: float) -> str:
    """How many times as fast as the peer."""
    return f"{peer / own:.2f} ×"


def bars(found: dict) -> list[Bar]:
    """What was to be reached, and what was."""
    ingest, size, lake, pages = found["ingest"], found["size"], found["lake"], found["pages"]
    parquet = ingest["duckdb_parquet"]
    stored = size["segments"] + size["summaries"]
    embedded, shared = found["jobs"][0], found["jobs"][1]
    rows = [
        at_least("`tally ingest` of NDJSON, DuckDB's NDJSON → Parquet being 1", parquet / ingest["tally"], 1.3, "×"),
        at_least("the same over HTTP", parquet / found["http"]["tally"], 1.0, "×"),
        at_least("Combined log lines, GoAccess being 1", found["combined"]["goaccess"] / found["combined"]["tally"], 15, "×"),
        at_most("stored, with summaries; DuckDB's Parquet being 1", stored / size["duckdb"], 1.0, "×"),
    ]
    for report, seconds in found["reports"]["tally"].items():
        least = 3 if report in HEAVY else 10
        what = f"`{report}`, 90 days, DuckDB's sorted table being 1"
        rows.append(at_least(what, found["reports"]["duckdb"][report] / seconds, least, "×"))
    if "large" in found:
        times = found["large"]["events"] // found["lake"]["events"]
        for report, seconds in found["large"]["reports"].items():
            what = f"`{report}` over {times} times as many events"
            bar = at_most(what, seconds / found["reports"]["tally"][report], 1.5, "× the time")
            growth = found["large"]["rows"][report] / found["reports"]["rows"][report]
            rows.append(bar if growth < SAME_SIZE else (*bar[:3], f"is for answers of one size; this has {growth:.1f} × the rows"))
    rows += [
        at_most("submit → finished, small report, embedded, p50", embedded["p50"], 10, "ms"),
        at_most("the same, p99", embedded["p99"], 50, "ms"),
        at_most("with Redis and PostgreSQL, p50", shared["p50"], 15, "ms"),
        at_least("small jobs of 16 clients, embedded", embedded["rate"], 500, "jobs/s"),
        at_least(
            "Retrieve Data, hot page, 64 connections; the same bytes from memory being 1",
            pages["tally"]["rate"] / pages["plain"]["rate"], 0.6, "×",
        ),
        at_most("the same, p99", pages["tally"]["p99"], 10, "ms"),
        at_most(f"{pages['cold_pages']} pages, each asked for once, p50", pages["cold_p50"], 3, "ms"),
        at_most("the same, p99", pages["cold_p99"], 15, "ms"),
        at_most(
            f"memory while {lake['events']:,} events are ingested and reported on",
            max(lake["ingest_memory"], lake["server_memory"]) / MIB, 512, "MiB",
        ),
        at_most(f"memory of top URLs over {found['urls']['urls']:,} different ones", found["urls"]["server_memory"] / MIB, 1024, "MiB"),
        at_most(f"start with {lake['events']:,} events stored", lake["start"] * 1000, 1000, "ms"),
        at_most("the binary", found["binary"] / MB, 100, "MB"),
    ]
    return rows


def number(value: float) -> str:
    """As many digits as mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def at_least(what: str, value: float, bar: float, unit: str) -> Bar:
    """A bar that is a least value."""
    return what, f"{number(value)} {unit}", f"≥ {bar:g}", "yes" if value >= bar else "**no**"


def at_most(what: str, value: float, bar: float, unit: str) -> Bar:
    """A bar that is a greatest value."""
    return what, f"{number(value)} {unit}", f"≤ {bar:g}", "yes" if value <= bar else "**no**"


def events_in(found: dict) -> str:
    """Ingest."""
    ingest, size, combined, lake = found["ingest"], found["size"], found["combined"], found["lake"]

    def row(what, seconds, events):
        return [what, f"{seconds:.2f}", f"{events / seconds:,.0f}"]

    events, lines = ingest["events"], combined["lines"]
    text = f"{events:,} events as NDJSON, {ingest['bytes'] / MB:,.0f} MB; {lines:,} Combined log lines, "
    text += f"{combined['bytes'] / MB:,.0f} MB. Best of 3.\n\n"
    rows = [
        row("`tally ingest`, until all of it is durable", ingest["tally"], events),
        row("over HTTP on loopback, 16 MiB a request, 4 connections", found["http"]["tally"], events),
        row("DuckDB, NDJSON → Parquet (zstd)", ingest["duckdb_parquet"], events),
        row("DuckDB, NDJSON → table in memory", ingest["duckdb_table"], events),
        row("ClickHouse (chdb), NDJSON → MergeTree", ingest["clickhouse"], events),
        row("`tally ingest`, Combined", combined["tally"], lines),
        row("GoAccess, Combined → report", combined["goaccess"], lines),
    ]
    text += table(["", "seconds", "events/s"], rows) + "\n"
    rows = [
        ["segments", f"{size['segments'] / MB:.1f} MB: {size['segments'] / events:.1f} bytes an event"],
        ["summaries", f"{size['summaries'] / MB:.1f} MB"],
        ["DuckDB's Parquet (zstd)", f"{size['duckdb'] / MB:.1f} MB"],
        ["compaction, with all summaries", f"{size['compaction']:.1f} s"],
        [f"memory of `tally ingest` at most: {events:,} events; {lake['events']:,}",
         f"{ingest['tally_memory'] / MIB:.0f} MiB; {lake['ingest_memory'] / MIB:.0f} MiB"],
    ]
    return text + table(["", ""], rows)


def reports(found: dict) -> str:
    """Reports beside the peers."""
    lake, reports = found["lake"], found["reports"]
    text = f"{lake['events']:,} events of 4 organizations over 90 days, compacted; a report of one of them, services cdn and "
    text += "cma, by day. Milliseconds: Tally from the submission until the client, which polls every millisecond, has the "
    text += "first page, best of 5; the peers from the statement until its answer is in memory, best of 3.\n\n"
    head = ["report", "rows", "Tally", "DuckDB, table in memory sorted by organization and time", "ClickHouse, MergeTree"]
    engines = [reports[engine] for engine in ("tally", "duckdb", "clickhouse")]
    rows = {
        name: [f"`{name}`", f"{reports['rows'][name]:,}", *(f"{engine[name] * 1000:.1f}" for engine in engines)]
        for name in reports["tally"]
    }
    if "large" in found:
        large = found["large"]
        head += [f"Tally, {large['events']:,} events", "rows"]
        for name, row in rows.items():
            row += [f"{large['reports'][name] * 1000:.1f}", f"{large['rows'][name]:,}"]
    urls = found["urls"]
    text += table(head, list(rows.values())) + "\n"
    text += f"Top URLs over {urls['urls']:,} different URLs of one day: {urls['seconds']:.1f} s, "
    text += f"{urls['server_memory'] / MIB:.0f} MiB of the server at most.\n"
    return text


def jobs(found: dict) -> str:
    """Small jobs."""
    text = "From the submission of Device Usage over a day of 1,000 events until its finished page has been read, 300 one "
    text += "after the other on an idle server; and how many such jobs 16 clients get done. Clients and servers share the "
    text += "cores.\n\n"
    rows = [[job["shape"], f"{job['p50']:.1f}", f"{job['p99']:.1f}", f"{job['rate']:.0f}"] for job in found["jobs"]]
    return text + table(["shape", "p50, ms", "p99, ms", "jobs/s"], rows)


def pages(found: dict) -> str:
    """Retrieve Data."""
    pages = found["pages"]
    text = f"A page of 900 rows, {pages['bytes'] / 1000:.0f} kB, over 64 connections (wrk), and an actix-web handler that "
    text += "sends the same bytes from memory.\n\n"
    rows = [[name, f"{pages[key]['rate']:,.0f}", f"{pages[key]['p99']:.1f}"]
            for name, key in (("Retrieve Data", "tally"), ("from memory", "plain"))]
    return text + table(["", "requests/s", "p99, ms"], rows)
