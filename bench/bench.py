"""Measures Tally beside its peers, in one run, and writes the tables of docs/benchmarks.md."""

import argparse
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import document
import peers
from installation import END, Installation, Organization, asked, page_path

HERE = Path(__file__).resolve().parent
ORGANIZATIONS = 4
REPEATS = 3
MIB = 1 << 20


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="the build folder")
    parser.add_argument("--profile", default="release", help="which binary of it")
    parser.add_argument("--events", type=int, default=20_000_000, help="events of all organizations together")
    parser.add_argument("--urls", type=int, default=10_000_000, help="different URLs of the largest report")
    parser.add_argument("--times", type=int, default=5, help="how many times as many events the large lake has; 0: none")
    parser.add_argument("--small", action="store_true", help="compare a few ratios with small.json, and write nothing")
    parser.add_argument("--soak", type=float, help="ingest and report for so many seconds, and write nothing")
    parser.add_argument("--write-small", action="store_true", help="write small.json anew")
    return parser.parse_args()


class Bench:
    """One run: where it works, what it has found."""

    def __init__(self, options: argparse.Namespace):
        self.binary = options.build / options.profile / "tally"
        self.build = options.build
        self.folder = options.build / "bench" / "work"
        self.events = options.events
        self.urls = options.urls
        self.times = options.times
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.found = {}

    def say(self, what: str) -> None:
        """Tells how far it is."""
        print(f"== {what}", file=sys.stderr, flush=True)

    def generate(self, events: int, seed: int) -> Path:
        """Made-up events as a file."""
        file = self.folder / f"{events}-{seed}.ndjson"
        if not file.exists():
            command = [self.binary, "demo", "generate", "--events", str(events), "--seed", str(seed)]
            subprocess.run([*command, "--days", "90", "--end", END, "--out", file], check=True, stderr=subprocess.DEVNULL)
        return file

    def installation(self, name: str) -> tuple[Installation, Organization]:
        """A new one with one organization."""
        made = Installation(self.binary, self.folder / name)
        return made, made.organization("Example")

    def best(self, measure, repeats: int = REPEATS) -> float:
        """The least of some measurements."""
        return min(measure() for _ in range(repeats))

    def ingest(self, file: Path, *options) -> tuple[float, int]:
        """Seconds of the whole process into an empty folder, and its memory."""
        made, _ = self.installation("ingest")
        ran = made.command("ingest", *options, file)
        return ran.seconds, ran.memory_bytes

    def measure_ingest(self, events: int) -> None:
        """NDJSON in: Tally, DuckDB, ClickHouse."""
        self.say(f"ingest of {events:,} events")
        file = self.generate(events, 1)
        parquet = self.folder / "peer.parquet"
        runs = [self.ingest(file) for _ in range(REPEATS)]
        self.found["ingest"] = {
            "events": events,
            "bytes": file.stat().st_size,
            "tally": min(seconds for seconds, _ in runs),
            "tally_memory": max(memory for _, memory in runs),
            "duckdb_parquet": self.best(lambda: peers.in_process("duckdb_to_parquet", file, parquet)),
            "duckdb_table": self.best(lambda: peers.in_process("duckdb_to_table", file)),
            "clickhouse": self.best(lambda: peers.in_process("clickhouse_to_table", file, self.empty("clickhouse"))),
        }
        made, _ = self.installation("size")
        made.command("ingest", file)
        compaction = made.command("lake", "compact")
        status = made.command("lake", "status", "--json").json()[0]
        self.found["size"] = {
            "segments": status["size_bytes"],
            "summaries": status["summary_bytes"],
            "duckdb": parquet.stat().st_size,
            "compaction": compaction.seconds,
        }

    def measure_http(self, events: int) -> None:
        """The same file over HTTP on loopback, uncompressed, four connections."""
        self.say("ingest over HTTP")
        file = self.generate(events, 1)

        def run():
            made, organization = self.installation("http")
            made.start()
            try:
                seconds, accepted = made.send(organization, file, 16 * MIB, 4)
            finally:
                made.stop()
            if accepted != events:
                raise RuntimeError(f"{accepted} events were taken of {events}")
            return seconds

        self.found["http"] = {"tally": self.best(run)}

    def measure_combined(self, lines: int) -> None:
        """Combined log lines: Tally, GoAccess."""
        self.say(f"{lines:,} Combined log lines")
        log = self.folder / "combined.log"
        peers.combined(self.generate(lines, 1), lines, log)
        self.found["combined"] = {
            "lines": lines,
            "bytes": log.stat().st_size,
            "tally": self.best(lambda: self.ingest(log)[0]),
            "goaccess": self.best(lambda: peers.goaccess(log, self.folder / "goaccess.html"), 1),
        }

    def empty(self, name: str) -> Path:
        """A folder without anything."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def lake(self, name: str, events: int) -> tuple[Installation, Organization, float, int]:
        """A lake with that many events of several organizations, compacted; seconds and memory of the ingest."""
        made = Installation(self.binary, self.folder / name)
        organizations = [made.organization(f"o{number}") for number in range(1, ORGANIZATIONS + 1)]
        seconds, memory = 0.0, 0
        for seed, organization in enumerate(organizations, 1):
            generate = subprocess.Popen(
                [self.binary, "demo", "generate", "--events", str(events // ORGANIZATIONS), "--seed", str(seed),
                 "--days", "90", "--end", END, "--out", "-"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )
            ran = made.command("ingest", "--org", organization.uid, "--format", "ndjson", "-", stdin=generate.stdout)
            generate.wait()
            seconds, memory = seconds + ran.seconds, max(memory, ran.memory_bytes)
        made.command("lake", "compact")
        return made, organizations[0], seconds, memory

    def time_reports(self, made: Installation, organization: Organization) -> tuple[dict[str, float], dict[str, int]]:
        """Best times of the reports, as their client sees them, and the rows of their answers."""
        times, rows = {}, {}
        for report in peers.REPORTS:
            runs = [made.report(organization, report, asked(report)) for _ in range(5)]
            times[report] = min(seconds for seconds, _, _ in runs)
            rows[report] = runs[0][2]
        return times, rows

    def measure_reports(self) -> None:
        """Reports over 90 days: Tally, DuckDB, ClickHouse."""
        self.say(f"a lake of {self.events:,} events")
        made, organization, seconds, ingest_memory = self.lake("lake", self.events)
        start = made.start()
        reports, rows = self.time_reports(made, organization)
        memory = made.stop()
        self.found["lake"] = {
            "events": self.events, "start": start, "ingest": seconds, "ingest_memory": ingest_memory,
            "server_memory": memory, "stored": made.stored(),
        }
        self.found["reports"] = {"tally": reports, "rows": rows}
        shutil.rmtree(made.folder)
        self.say("the same in DuckDB and ClickHouse")
        files = [self.generate(self.events // ORGANIZATIONS, seed) for seed in range(1, ORGANIZATIONS + 1)]
        self.found["reports"]["duckdb"] = peers.duckdb_reports(files, REPEATS)
        self.found["reports"]["clickhouse"] = peers.clickhouse_reports(files, self.empty("clickhouse"), REPEATS)
        self.empty("clickhouse")
        for file in files:
            file.unlink()

    def measure_large(self) -> None:
        """The same reports over several times as many events."""
        self.say(f"a lake of {self.events * self.times:,} events")
        made, organization, seconds, memory = self.lake("large", self.events * self.times)
        start = made.start()
        reports, rows = self.time_reports(made, organization)
        self.found["large"] = {
            "events": self.events * self.times, "start": start, "ingest": seconds, "ingest_memory": memory,
            "reports": reports, "rows": rows, "server_memory": made.stop(),
        }
        shutil.rmtree(made.folder)

    def measure_many_urls(self) -> None:
        """Top URLs over very many different ones."""
        self.say(f"{self.urls:,} different URLs")
        file = self.folder / "urls.ndjson"
        peers.many_urls(self.urls, file)
        made, organization = self.installation("urls")
        made.command("ingest", file)
        file.unlink()
        made.start()
        seconds, _, _ = made.report(organization, "url", asked("url") | {"from": END})
        self.found["urls"] = {"urls": self.urls, "seconds": seconds, "server_memory": made.stop()}
        shutil.rmtree(made.folder)

    def measure_pages(self) -> None:
        """Retrieve Data: one page again and again, and many pages once."""
        self.say("pages")
        made, organization = self.installation("pages")
        made.command("ingest", self.generate(500_000, 1))
        made.start()
        _, hot, _ = made.report(organization, "devices", asked("devices") | {"limit": 900})
        _, cold, rows = made.report(organization, "devices", asked("devices") | {"limit": 50})
        page = made.answer("GET", page_path(organization, hot), {"authtoken": organization.token}).body
        url = f"http://{made.address}{page_path(organization, hot)}"
        tally = wrk(url, organization.token)
        times = cold_times(made, organization, cold, min(500, rows // 50))
        made.stop()
        (self.folder / "page.json").write_bytes(page)
        server = subprocess.Popen(
            [newest(self.build / "release" / "deps", "plain_server"), self.folder / "page.json"],
            stdout=subprocess.PIPE, text=True,
        )
        plain = wrk(f"http://{server.stdout.readline().strip()}/", organization.token)
        server.terminate()
        server.wait()
        self.found["pages"] = {
            "bytes": len(page), "tally": tally, "plain": plain, "cold_pages": len(times),
            "cold_p50": percentile(times, 50), "cold_p99": percentile(times, 99),
        }

    def measure_jobs(self) -> None:
        """Small jobs: `cargo bench --bench jobs`."""
        self.say("jobs")
        ran = subprocess.run(
            [newest(self.build / "release" / "deps", "jobs"), "--bench"], capture_output=True, text=True, check=True
        )
        rows = [line.strip("| \n").split(" | ") for line in ran.stdout.splitlines() if line.startswith("| ")]
        self.found["jobs"] = [
            {"shape": row[0], "p50": float(row[1]), "p99": float(row[2]), "rate": float(row[3])} for row in rows[1:]
        ]

    def measure_binary(self) -> None:
        """Its size."""
        self.found["binary"] = self.binary.stat().st_size

    def write(self) -> None:
        """Writes down what was found so far."""
        (self.build / "bench" / "found.json").write_text(json.dumps(self.found, indent=2), encoding="utf-8")
        document.write(HERE.parent / "docs" / "benchmarks.md", self.found, peers.versions())


def newest(folder: Path, name: str) -> Path:
    """The program that was built last of those of that name."""
    built = [file for file in folder.glob(f"{name}-*") if os.access(file, os.X_OK) and not file.suffix]
    return max(built, key=lambda file: file.stat().st_mtime)


def wrk(url: str, token: str) -> dict[str, float]:
    """Requests a second over 64 connections, and the slowest hundredth in milliseconds."""
    command = ["wrk", "-t2", "-c64", "-d8s", "--latency", "-H", f"authtoken: {token}", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(said)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    return {"rate": rate, "p99": float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]}


def cold_times(made: Installation, organization: Organization, job_id: str, pages: int) -> list[float]:
    """Seconds of each page, asked for once, one after the other."""
    connection = http.client.HTTPConnection(made.address)
    times = []
    for page in range(1, pages):
        began = time.perf_counter()
        connection.request("GET", page_path(organization, job_id, page), headers={"authtoken": organization.token})
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
    return times


def percentile(times: list[float], percent: int) -> float:
    """In milliseconds."""
    ordered = sorted(times)
    return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] * 1000


def everything(bench: Bench) -> None:
    """All tables of docs/benchmarks.md."""
    bench.measure_binary()
    bench.measure_ingest(2_000_000)
    bench.measure_http(2_000_000)
    bench.measure_combined(1_000_000)
    bench.measure_pages()
    bench.measure_jobs()
    bench.measure_many_urls()
    bench.measure_reports()
    bench.write()
    # What takes longest comes last: what was found before is not lost with it.
    if bench.times > 0:
        bench.measure_large()
        bench.write()
    shutil.rmtree(bench.folder)


if __name__ == "__main__":
    options = parse()
    if options.small or options.write_small:
        import small

        sys.exit(small.run(Bench(options), HERE / "small.json", options.write_small))
    if options.soak:
        import soak

        prepared = Bench(options)
        sys.exit(soak.run(prepared.binary, prepared.folder / "soak", options.soak))
    everything(Bench(options))
