"""Many clients that leave at random phases: in the request, before the answer, in the middle of it;
streamed and not; by an orderly end and by a reset."""

import json
import re
import subprocess

from door_fixture import Doors, test_path

STEP_US = 5000
BODY = {"model": "demo", "stream": True, "messages": [{"role": "user", "content": "Say it."}]}


def gone_lines(lines):
    return [line for line in lines if "event=client_gone" in line]


def cancel_times_s(rank, left):
    """From a client's end to the plan that closes its slot; `left`: monotonic times by number."""
    times = []
    for event in (json.loads(line) for line in rank.lines if '"event":"closed"' in line):
        number = re.search(r"client (\d+) asks", event["prompt"])
        if number:
            times.append((event["at_us"] - left[number.group(1)]) / 1e6)
    return sorted(times)


def leave_many(count, rate=400):
    """The figures of a run, and what is held after it."""
    with Doors(positions=32768, rank=["--max-num-seqs", "256"]) as doors:
        # One stream goes on to the end, so that there is a plan to close the others' slots.
        endless = {"words": 64, "loop": True, "step_us": STEP_US}
        doors.rank.say({**endless, "match": "client"}, endless)
        connection = doors.connection()
        headers = {"Content-Type": "application/json"}
        body = json.dumps({**BODY, "max_tokens": 30000})
        connection.request("POST", "/v1/chat/completions", body, headers)
        steady, response = connection.sock, connection.getresponse()
        before = doors.gateway.descriptors()
        doors.rank.tell("trace on")
        command = [test_path("stream_load"), "--http", doors.url.split("//")[1], "--leave"]
        command += ["--streams", str(count), "--rate", str(rate), "--max-tokens", "900"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        left = {n: int(at) for n, at in re.findall(r"^left (\d+) (\d+)$", done.stdout, re.M)}
        doors.wait_idle(open_streams=1)
        doors.wait_until(lambda: doors.gateway.descriptors() <= before)
        response.close()
        steady.close()
        doors.wait_idle()  # no request and no page is held
        ids = [
            re.search(r"request=(\S+)", line).group(1) for line in gone_lines(doors.gateway_log())
        ]
        opened = sum('"event":"opened"' in line for line in doors.rank.lines)
        return {
            "figures": json.loads(done.stdout.splitlines()[-1]),
            "left": len(left),
            "cancel_s": cancel_times_s(doors.rank, left),
            "opened": opened,
            "ids": ids,
        }
