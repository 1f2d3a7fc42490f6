"""Mixed ingest and reports for a while: memory stays flat, files stay few, and the report is right in the end."""

import json
import sys
import threading
import time
from pathlib import Path

from installation import Installation, asked

BATCH = 200
SENDERS = 2
SAMPLE_SECONDS = 5
REPORT_EVERY_SECONDS = 0.2

# Caches so small that they are full within the first third: what grows after that is something else.
SMALL_CACHES = {"TALLY_RESULTS__PAGE_CACHE_BYTES": str(8 << 20), "TALLY_REPORTS__MEMORY_BYTES": str(64 << 20)}

# How much more memory the last third may take than the second.
GROWTH = 1.15

# Segments and summaries of 90 days that a batch may come to at any time: a few tiers of each.
FILES_OF_A_DAY = 2 * 14


def run(binary: Path, folder: Path, seconds: float) -> int:
    """Says what it saw, as a table and as an exit status."""
    made = Installation(binary, folder)
    made.variables |= SMALL_CACHES
    organization = made.organization("Example")
    made.start()
    stop = threading.Event()
    sent = [0] * SENDERS
    reports, failures, samples = [0], [], []

    def guarded(work):
        def body():
            try:
                work()
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)
                stop.set()

        return threading.Thread(target=body)

    def send(sender: int):
        headers = {"authorization": f"Bearer {organization.key}", "content-type": "application/x-ndjson"}

        def taken(body: bytes, outcome: str):
            answer = made.answer("POST", "/ingest/v1/requests", headers, body)
            while answer.status == 503:
                time.sleep(int(answer.headers.get("retry-after", "1")))
                answer = made.answer("POST", "/ingest/v1/requests", headers, body)
            if json.loads(answer.body).get(outcome) != BATCH:
                raise RuntimeError(f"{answer.status} {answer.body}")

        while not stop.is_set():
            body = batch(sender, sent[sender])
            taken(body, "accepted")
            sent[sender] += 1
            # Every tenth batch comes twice.
            if sent[sender] % 10 == 0:
                taken(body, "duplicates")

    def ask():
        names = ["devices", "http-statuses", "hit-miss-ratio", "usage", "url", "sdk"]
        while not stop.is_set():
            made.report(organization, names[reports[0] % len(names)], asked(names[reports[0] % len(names)]))
            reports[0] += 1
            stop.wait(REPORT_EVERY_SECONDS)

    threads = [guarded(lambda sender=sender: send(sender)) for sender in range(SENDERS)] + [guarded(ask)]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + seconds
    print("| second | memory, MiB | files of events | log rows | events |\n|---|---|---|---|---|")
    while time.monotonic() < ends and not stop.is_set():
        stop.wait(SAMPLE_SECONDS)
        sample = look(made, organization)
        samples.append(sample)
        if len(samples) % 6 == 0:
            print(f"| {seconds - (ends - time.monotonic()):.0f} | {sample[0]:.0f} | {sample[1]} | {sample[2]} | {sum(sent) * BATCH:,} |", flush=True)
    stop.set()
    for thread in threads:
        thread.join()
    expected = sum(sent) * BATCH
    counted = count(made, organization)
    made.stop()
    return judge(samples, failures, expected, counted, reports[0])


def batch(sender: int, number: int) -> bytes:
    """Events of any of 90 days, with ids."""
    lines = []
    for at in range(BATCH):
        day = (number * 7 + at * 13 + sender) % 90
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_787_443_200 + day * 86_400 + at * 60))
        lines.append(json.dumps({
            "ts": stamp, "url": f"/a/{(number * at) % 5000}", "status": 200 if at % 9 else 404, "service": "cdn", "bytes": at,
            "user_agent": f"agent/{at % 40}", "cache": "HIT" if at % 3 else "MISS", "id": f"{sender}/{number}/{at}",
        }))
    return "\n".join(lines).encode()


def look(made: Installation, organization) -> tuple[float, int, int]:
    """Memory, files of events, log rows."""
    status = Path(f"/proc/{made.server.pid}/status").read_text(encoding="ascii")
    memory = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
    # Files that a compaction replaced are kept for 15 minutes: the catalog says which are of use.
    lake = made.command("lake", "status", "--org", organization.uid, "--json").json()
    segments = sum(row["segments"] for row in lake)
    summarized = sum(row["segments"] - row["waiting_segments"] for row in lake)
    return memory, segments + summarized, sum(row["log_rows"] for row in lake)


def count(made: Installation, organization) -> int:
    """How many events a report counts."""
    _, job_id, _ = made.report(organization, "http-statuses", asked("http-statuses") | {"duration": "month"})
    path = f"/analytics/v2/job/{job_id}/data?orgUid={organization.uid}"
    rows = json.loads(made.answer("GET", path, {"authtoken": organization.token}).body)["data"]
    return sum(int(row["count"]) for row in rows)


def judge(samples, failures, expected, counted, reports) -> int:
    """Everything that is not as it has to be."""
    third = max(len(samples) // 3, 1)
    middle = sum(sample[0] for sample in samples[third : 2 * third]) / third
    last = sum(sample[0] for sample in samples[-third:]) / third
    faults = [str(error) for error in failures]
    if counted != expected:
        faults.append(f"{counted:,} events counted of {expected:,}")
    if last > middle * GROWTH:
        faults.append(f"memory grew from {middle:.0f} to {last:.0f} MiB")
    most = max(sample[1] for sample in samples)
    if most > 90 * FILES_OF_A_DAY:
        faults.append(f"{most:,} files of events")
    print(f"\n{counted:,} events counted of {expected:,} sent, {reports:,} reports; {middle:.0f} MiB in the second third, "
          f"{last:.0f} in the last; {most:,} files of events at most")
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    return 1 if faults else 0
