"""A small copy of the measurements: whether a ratio to DuckDB has changed grossly since small.json was written."""

import json
from pathlib import Path

import peers
from installation import Installation, asked

EVENTS = 60_000
GROSS = 3


def run(bench, known: Path, write: bool) -> int:
    """Measures, and compares or writes; says how the process is to exit."""
    found = measure(bench)
    if write:
        known.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        return 0
    before = json.loads(known.read_text(encoding="utf-8"))
    gross = [name for name in before if not before[name] / GROSS <= found[name] <= before[name] * GROSS]
    for name, was in before.items():
        verdict = f"expected {was / GROSS:.3g} to {was * GROSS:.3g}" if name in gross else "ok"
        print(f"{name}: {found[name]:.3g} times DuckDB's speed, was {was:.3g}: {verdict}")
    return 1 if gross else 0


def measure(bench) -> dict[str, float]:
    """The speed of what is built as a ratio to DuckDB's, which runs right before and after."""
    file = bench.generate(EVENTS, 1)
    parquet = bench.folder / "peer.parquet"
    found = {"ingest": bench.best(lambda: peers.duckdb_to_parquet(file, parquet)) / bench.best(lambda: bench.ingest(file)[0])}
    made = Installation(bench.binary, bench.folder / "small")
    organization = made.organization("Example")
    made.command("ingest", file)
    made.command("lake", "compact")
    peer = peers.duckdb_reports([file], 5)
    made.start()
    try:
        for report in ("devices", "http-statuses", "url"):
            own = bench.best(lambda: made.report(organization, report, asked(report))[0], 5)
            found[report] = peer[report] / own
    finally:
        made.stop()
    return found
