"""One installation of Tally: a data folder, commands on it, and a server."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# The last day of all made-up events.
END = "2026-11-20"

NEVER = 1_000_000

# How often a client asks whether its report is done.
POLL_SECONDS = 0.001

# How often a process is asked for its memory.
ASKED_EVERY_SECONDS = 0.01


class Installation:
    """A data folder of its own, with organizations that were made there."""

    def __init__(self, binary: Path, folder: Path):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.binary = binary
        self.folder = folder
        self.variables = {
            "PATH": os.environ["PATH"],
            "TALLY_DATA_DIR": str(folder / "data"),
            "TALLY_SERVER__BIND": "127.0.0.1:0",
            "TALLY_RATE_LIMIT__REQUESTS_PER_SECOND": str(NEVER),
            "TALLY_RATE_LIMIT__ANONYMOUS_REQUESTS_PER_SECOND": str(NEVER),
        }
        self.server = None
        self.address = None

    def command(self, *arguments, stdin=None) -> "Ran":
        """Runs a command to its end."""
        began = time.perf_counter()
        process = subprocess.Popen(
            [self.binary, *map(str, arguments)],
            cwd=self.folder,
            env=self.variables,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        memory = MostMemory(process.pid)
        said = process.stdout.read()
        status = process.wait()
        seconds = time.perf_counter() - began
        if status != 0:
            raise RuntimeError(f"{arguments}: exit status {status}")
        return Ran(said, seconds, memory.bytes())

    def organization(self, name: str) -> "Organization":
        """Makes an organization with a member and an ingest key."""
        uid = self.command("org", "create", "--name", name, "--json").json()["uid"]
        email = f"{uid}@example.com"
        password = subprocess.run(["echo", "correct horse battery"], capture_output=True, check=True).stdout
        subprocess.run(
            [self.binary, "user", "create", "--org", uid, "--email", email, "--role", "owner", "--password-stdin"],
            cwd=self.folder, env=self.variables, input=password, capture_output=True, check=True,
        )
        token = self.command("token", "create", "--org", uid, "--email", email, "--json").json()["authtoken"]
        key = self.command("key", "create", "--org", uid, "--json").json()["key"]
        return Organization(uid, token, key)

    def start(self) -> float:
        """Starts the server; says after how many seconds it was ready."""
        began = time.perf_counter()
        log = open(self.folder / "server.log", "w", encoding="utf-8")
        self.server = subprocess.Popen(
            [self.binary, "serve"], cwd=self.folder, env=self.variables, stdout=subprocess.DEVNULL, stderr=log
        )
        while True:
            said = (self.folder / "server.log").read_text(encoding="utf-8")
            listening = [line for line in said.splitlines() if "address=" in line]
            if listening:
                self.address = listening[0].split("address=")[1].split()[0]
                if self.answer("GET", "/readyz").status == 200:
                    return time.perf_counter() - began
            if self.server.poll() is not None:
                raise RuntimeError(said)
            time.sleep(0.002)

    def stop(self) -> int:
        """Stops the server; says how many bytes of memory it had at most."""
        most = high_water_mark(Path(f"/proc/{self.server.pid}/status"))
        self.server.terminate()
        self.server.wait()
        return most

    def answer(self, method: str, path: str, headers=None, body=None) -> "Answer":
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.address)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def stored(self) -> int:
        """Bytes of events and summaries."""
        files = (self.folder / "data" / "events").rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())

    def report(self, organization: "Organization", name: str, parameters: dict) -> tuple[float, str, int]:
        """Submits a report and polls every millisecond; seconds until its first page, its job, and its rows."""
        connection = http.client.HTTPConnection(self.address)
        headers = {"authtoken": organization.token}
        query = urllib.parse.urlencode({"orgUid": organization.uid, **parameters})

        def get(path):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise RuntimeError(f"{path}: {response.status} {body[:300]}")
            return response, body

        began = time.perf_counter()
        job_id = json.loads(get(f"/analytics/v2/{name}?{query}")[1])["jobId"]
        while True:
            response, _ = get(page_path(organization, job_id))
            if response.getheader("x-page-count"):
                took = time.perf_counter() - began
                connection.close()
                return took, job_id, int(response.getheader("x-row-count"))
            # Without a pause the client would take a core from the server, and the peers have no client.
            time.sleep(POLL_SECONDS)

    def send(self, organization: "Organization", file: Path, part_bytes: int, connections: int) -> tuple[float, int]:
        """Sends a file of lines over HTTP, uncompressed; seconds until the last receipt, and how many events were taken.

        With sendfile, which copies nothing: what the client takes of the processor, the server does not have.
        """

        def parts():
            with open(file, "rb") as lines:
                size = os.fstat(lines.fileno()).st_size
                start = 0
                while start < size:
                    lines.seek(min(start + part_bytes, size))
                    lines.readline()
                    yield start, lines.tell()
                    start = lines.tell()

        def post(part):
            start, end = part
            connection = http.client.HTTPConnection(self.address)
            with contextlib.closing(connection), open(file, "rb") as lines:
                connection.putrequest("POST", "/ingest/v1/requests")
                connection.putheader("authorization", f"Bearer {organization.key}")
                connection.putheader("content-type", "application/x-ndjson")
                connection.putheader("content-length", str(end - start))
                connection.endheaders()
                connection.sock.sendfile(lines, start, end - start)
                response = connection.getresponse()
                body = response.read()
            if response.status != 200:
                raise RuntimeError(f"{response.status} {body[:300]}")
            return json.loads(body)["accepted"]

        began = time.perf_counter()
        with ThreadPoolExecutor(connections) as pool:
            accepted = sum(pool.map(post, parts()))
        return time.perf_counter() - began, accepted


class MostMemory:
    """Asks how much memory a process has had at most, again and again, until it has ended.

    What the system says of a process that has ended will not do: it counts the memory of the process that began it.
    """

    def __init__(self, pid: int):
        self.most = 0
        self.status = Path(f"/proc/{pid}/status")
        self.thread = threading.Thread(target=self.follow)
        self.thread.start()

    def follow(self) -> None:
        """To the process's end."""
        while found := high_water_mark(self.status):
            self.most = found
            time.sleep(ASKED_EVERY_SECONDS)

    def bytes(self) -> int:
        """The last that was heard."""
        self.thread.join()
        return self.most


def high_water_mark(status: Path) -> int | None:
    """The memory that a process has had at most, in bytes; none where it is gone."""
    try:
        lines = status.read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    most = [line for line in lines if line.startswith("VmHWM")]
    return int(most[0].split()[1]) * 1024 if most else None


class Ran:
    """What a command said, and what it took."""

    def __init__(self, said: str, seconds: float, memory_bytes: int):
        self.said = said
        self.seconds = seconds
        self.memory_bytes = memory_bytes

    def json(self):
        """What it said, parsed."""
        return json.loads(self.said)


class Organization:
    """Whose events; who may ask, and who may send."""

    def __init__(self, uid: str, token: str, key: str):
        self.uid = uid
        self.token = token
        self.key = key


class Answer:
    """An HTTP answer."""

    def __init__(self, status: int, headers: dict, body: bytes):
        self.status = status
        self.headers = headers
        self.body = body


def asked(report: str) -> dict[str, str]:
    """The parameters of a report over all days of the made-up events."""
    span = {"from": "2026-08-23", "to": END, "services": '["cdn","cma"]'}
    own = {"url": {"includeTotalCount": "true"}, "sdk": {"includeCount": "true", "duration": "day"}}
    return span | own.get(report, {"duration": "day"})


def page_path(organization: Organization, job_id: str, page: int = 0) -> str:
    """Where a page of a job's result is."""
    return f"/analytics/v2/job/{job_id}/data?orgUid={organization.uid}&page={page}"
