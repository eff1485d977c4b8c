"""The doors as users meet them: the real coordinator and gateway on the demo model, and a scripted
rank in the place of a group. Ports are chosen by the kernel; every wait is for an event."""

import http.client
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

from program import PATIENCE_S, Program

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
DEMO = os.path.join(SOURCE, "models", "demo")
TEMPLATES = os.path.join(SOURCE, "tests", "doors", "templates")


def build_folder():
    """Of the programs: TRIREME_BUILD, else build/."""
    return os.environ.get("TRIREME_BUILD", os.path.join(SOURCE, "build"))


def bin_path(name):
    return os.path.join(build_folder(), "bin", name)


def test_path(name):
    return os.path.join(build_folder(), "tests", name)


def long_model(folder, positions):
    """The demo model with more positions, in `folder`; a scripted rank never reads its weights."""
    model = os.path.join(folder, "demo")
    os.makedirs(model)
    for name in os.listdir(DEMO):
        if name == "config.json":
            with open(os.path.join(DEMO, name), encoding="utf-8") as file:
                config = json.load(file)
            config["max_position_embeddings"] = positions
            with open(os.path.join(model, name), "w", encoding="utf-8") as file:
                json.dump(config, file)
        else:
            os.symlink(os.path.join(DEMO, name), os.path.join(model, name))
    return model


class ScriptedRank(Program):
    def __init__(self, model, coordinator, options=()):
        super().__init__(
            [
                test_path("trireme-scripted-rank"),
                "--model",
                model,
                "--coordinator",
                coordinator,
                *options,
            ]
        )

    def tell(self, command):
        """Obeys before this returns; the fields of its answer."""
        self.write(command)
        done = self.event("done")
        assert done["command"] == command.split()[0] and "error" not in done, done
        return done

    def say(self, *answers):
        """Replaces the script."""
        self.tell("clear")
        for answer in answers:
            self.tell("say " + json.dumps(answer))


class Gateway(Program):
    def __init__(self, endpoint, options=(), environment=None):
        super().__init__(
            [bin_path("trireme-gateway"), "--endpoint", endpoint, "--http-port", "0", *options],
            environment,
        )
        self.url = self.line(lambda line: re.search(r"https?://[^\"\s/]+", line)).group(0)
        self.host, port = self.url.split("://")[1].rsplit(":", 1)
        self.port = int(port)


class Doors:
    """with Doors() as doors: doors.rank, doors.gateway, doors.coordinator."""

    def __init__(
        self,
        template=None,
        positions=None,
        gateway=(),
        coordinator=(),
        rank=(),
        has_gateway=True,
        has_rank=True,
        context=None,
    ):
        self.folder = tempfile.mkdtemp(prefix="trireme-doors-")
        self.programs = []
        self.rank_options = rank
        self.context = context  # of TLS
        self.gateway_options = gateway
        try:
            self.model = DEMO if positions is None else long_model(self.folder, positions)
            more = ["--chat-template", os.path.join(TEMPLATES, template)] if template else []
            self.coordinator_options = [*more, *coordinator]
            self.start_coordinator("0", "0")
            if has_rank:
                self.start_rank()
            if has_gateway:
                self.start_gateway()
            if has_rank and has_gateway:
                self.wait_ready()
        except BaseException:
            self.close()
            raise

    def start_coordinator(self, port, worker_port):
        command = [bin_path("trireme-coordinator"), "--model", self.model, "--port", port]
        command += ["--worker-port", worker_port, "--control-on-stdin", "--state", self.folder]
        command += [
            "--log-file",
            os.path.join(self.folder, "coordinator.log"),
            *self.coordinator_options,
        ]
        self.coordinator = self._keep(Program(command))
        doors = self.coordinator.event("doors")
        self.endpoint, self.worker_endpoint = doors["client_endpoint"], doors["worker_endpoint"]

    def restart_coordinator(self):
        """On the ports of the one before, which has ended."""
        ports = [endpoint.rsplit(":", 1)[1] for endpoint in (self.endpoint, self.worker_endpoint)]
        self.start_coordinator(*ports)

    def start_rank(self, more=()):
        options = [*self.rank_options, *more]
        self.rank = self._keep(ScriptedRank(self.model, self.worker_endpoint, options))
        self.rank.event("started")
        self.coordinator.event("group_ready")

    def write_script(self, *answers):
        """A file for --script of a rank."""
        path = os.path.join(self.folder, "script")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(answer) + "\n" for answer in answers)
        return path

    def start_gateway(self):
        log = ["--log-file", os.path.join(self.folder, "gateway.log")]
        self.gateway = self._keep(Gateway(self.endpoint, [*log, *self.gateway_options]))
        self.url = self.gateway.url

    def load_beside(self, *options):
        """A run of stream_load over ZeroMQ, started; its last line has the figures."""
        return Program(
            [test_path("stream_load"), "--zmq", self.endpoint, "--limit-s", "30", *options]
        )

    def gateway_log(self):
        with open(os.path.join(self.folder, "gateway.log"), encoding="utf-8") as file:
            return file.read().splitlines()

    def status(self):
        """As `trireme status` tells it."""
        command = [bin_path("trireme"), "status", "--endpoint", self.endpoint, "--json"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
        return json.loads(done.stdout)

    def wait_until(self, holds, patience_s=PATIENCE_S):
        """Asks again until `holds` gives a true value, which is returned."""
        deadline = time.monotonic() + patience_s
        while True:
            found = holds()
            if found or time.monotonic() > deadline:
                assert found, f"it does not come true within {patience_s} s"
                return found
            time.sleep(0.01)

    def wait_idle(self, open_streams=0):
        """Until no request but `open_streams` holds anything."""

        def is_idle():
            status = self.status()
            held = sum(group["slots_used"] for group in status["groups"])
            pages = sum(group["pages_held"] for group in status["groups"])
            counts = (status["running"] + status["waiting"], held)
            return counts == (open_streams, open_streams) and (open_streams or pages == 0)

        self.wait_until(is_idle)

    def wait_for_log(self, holds):
        self.wait_until(lambda: holds(self.gateway_log()))

    def wait_ready(self, status=200, patience_s=PATIENCE_S):
        """Until /ready answers with this status. Nothing tells of that over HTTP, so this asks
        again; each question waits for its answer."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            got = self.request("GET", "/ready")
            if got.status == status:
                return got
            time.sleep(0.02)
        raise AssertionError(f"/ready stays {got.status} {got.body!r}\n{self.gateway.text()}")

    def connection(self):
        address = (self.gateway.host, self.gateway.port)
        if self.context:
            return http.client.HTTPSConnection(*address, timeout=PATIENCE_S, context=self.context)
        return http.client.HTTPConnection(*address, timeout=PATIENCE_S)

    def request(self, method, path, body=None, headers=None):
        """One request on a connection of its own: an Answer."""
        connection = self.connection()
        try:
            headers = dict(headers or {})
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
                headers.setdefault("Content-Type", "application/json")
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def post(self, path, body, headers=None):
        return self.request("POST", path, body, headers)

    def _keep(self, program):
        self.programs.append(program)
        return program

    def close(self):
        for program in reversed(self.programs):
            program.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)

    def events(self):
        return sse_events(self.body)


def sse_events(body):
    """[(event name or None, data text)] of a stream; comments are left out."""
    events = []
    for block in body.decode().split("\n\n"):
        name, data = None, []
        for line in block.split("\n"):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
        if data:
            events.append((name, "\n".join(data)))
    return events


def chunks_of(answer):
    """The JSON values of an OpenAI stream, without [DONE]."""
    return [json.loads(data) for _, data in answer.events() if data != "[DONE]"]


def http_answer(raw):
    """(status, whether the connection ended) of the answer on a socket; (None, True): none."""
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            more = raw.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            return (int(data.split(b" ")[1]) if data.startswith(b"HTTP/") else None), True
        data += more
    status = int(data.split(b" ")[1])
    head = data.split(b"\r\n\r\n", 1)[0]
    closes = b"connection: close" in head.lower()
    while closes:
        try:
            more = raw.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            break
    return status, closes
