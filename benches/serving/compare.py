#!/usr/bin/env python3
"""The same student behind `attar serve` and behind FastAPI with onnxruntime in int8 (fastapi/app.py), in turns.

    apt install wrk; pip install (what fastapi/export.py and fastapi/app.py name)
    benches/serving/fastapi/export.py STUDENT_F32 OUT
    benches/serving/compare.py --attar target/release/attar --bundle STUDENT_INT8 --model OUT --texts FILE
        [--threads 2] [--workers 1,2] [--wait 0,2] [--connections 64] [--seconds 10] [--rounds 5] [--json FILE]

FILE has a text a line; each connection sends one text after the other to `/predict` and waits for the answer, which is all classes with their
probabilities. The peer runs in each combination of processes and of waiting named, each process with its part of the threads; what is compared
is its fastest. Time on a processor by text is what other work on the machine disturbs least. Answers are compared before anything counts. Figures are medians over rounds; a ratio is made within a round.
"""
import argparse
import itertools
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in ["attar", "bundle", "model", "texts"]:
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--wait", default="0,2")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, name, command, port, **environment):
        self.name, self.url, self.turns = name, f"http://127.0.0.1:{port}/predict", []
        command = [str(word) for word in command]
        self.process = subprocess.Popen(command, env=os.environ | environment, start_new_session=True)
        try:
            self.wait_until_ready(command)
        except BaseException:
            self.end()
            raise

    def wait_until_ready(self, command):
        for _ in range(600):
            try:
                self.ask("hello")
                return
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(f"{self.name} ended: {' '.join(command)}")
                time.sleep(0.1)
        sys.exit(f"{self.name} does not answer")

    def ask(self, text):
        body = json.dumps({"inputs": text}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def usage(self):
        """Megabytes of all its processes, where pages that several share count once (Pss), and seconds that they have been on a processor."""
        memory, processor = 0, 0
        for folder in pathlib.Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and os.getpgid(int(folder.name)) == self.process.pid:
                    memory += int((folder / "smaps_rollup").read_text().split("\nPss:")[1].split()[0])
                    # The fields after the name, which is in parentheses.
                    fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                    processor += int(fields[11]) + int(fields[12])
            except (OSError, IndexError):
                pass  # It ended meanwhile.
        return memory / 1024, processor / os.sysconf("SC_CLK_TCK")

    def turn(self, options):
        command = ["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds:g}s", "--timeout", "10s"]
        command += ["-s", HERE / "load.lua", self.url, "--", options.texts]
        _, before = self.usage()
        said = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout
        turn = json.loads(said.splitlines()[-1])
        # wrk counts answers of any status as requests; a time-out is among the errors, but no answer.
        answered = max(0, turn["requests"] - turn["status_errors"])
        turn["texts"] = answered / turn["seconds"]
        turn["memory"], after = self.usage()
        turn["processor"] = 1e3 * (after - before) / max(1, answered)
        self.turns.append(turn)

    def median(self, key):
        return statistics.median(turn[key] for turn in self.turns)

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass  # It ended by itself.
        self.process.wait()


def servers(options):
    port = free_port()
    serve = [options.attar, "--threads", options.threads, "serve", f"student={options.bundle}", "--port", port, "--source", "off"]
    yield Server("attar serve", serve, port)
    for workers, wait in itertools.product(options.workers.split(","), options.wait.split(",")):
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "--app-dir", HERE / "fastapi", "app:app", "--port", port]
        command += ["--workers", workers, "--log-level", "warning", "--no-access-log"]
        threads = str(max(1, options.threads // int(workers)))
        environment = {"MODEL": str(options.model), "THREADS": threads, "WAIT_MS": wait, "TOKENIZERS_PARALLELISM": "false"}
        yield Server(f"FastAPI, {workers} process(es), waits {wait} ms", command, port, **environment)


def main():
    options = arguments()
    all_servers = []
    try:
        for server in servers(options):
            all_servers.append(server)
        compare(options, all_servers)
    finally:
        for server in all_servers:
            server.end()


def compare(options, all_servers):
    texts = [line for line in options.texts.read_text().splitlines() if line][:200]
    answers = [[server.ask(text)[0]["label"] for text in texts] for server in all_servers]
    for server, given in zip(all_servers, answers):
        server.same = sum(a == b for a, b in zip(given, answers[0])) / len(texts)
        if server.same < 0.95:
            sys.exit(f"{server.name} answers otherwise: {server.same}")
    for round_ in range(options.rounds + 1):
        for server in all_servers[round_ % len(all_servers):] + all_servers[:round_ % len(all_servers)]:
            server.turn(options)
    rows = []
    print(f"{options.connections} connections, {options.threads} threads, medians of {options.rounds} alternating rounds of {options.seconds:g} s")
    print(f"{'server':36} {'texts/s':>8} {'p50 ms':>8} {'p95':>8} {'p99':>8} {'CPU ms':>7} {'MB':>6} {'errors':>7} {'same':>6}")
    for server in all_servers:
        # The first turn warms up.
        del server.turns[0]
        keys = ["texts", "p50", "p95", "p99", "processor", "memory"]
        row = {"name": server.name, **{key: server.median(key) for key in keys}, "same": server.same}
        row["errors"] = sum(turn["errors"] for turn in server.turns)
        rows.append(row | {"turns": server.turns})
        print("{name:36} {texts:8.0f} {p50:8.1f} {p95:8.1f} {p99:8.1f} {processor:7.3f} {memory:6.0f} {errors:7} {same:6.3f}".format(**row))
    own, *peers = all_servers
    fastest = max(peers, key=lambda peer: peer.median("texts"))
    least = min(peers, key=lambda peer: peer.median("p99"))
    pairs = lambda key, peer: statistics.median(a[key] / b[key] for a, b in zip(own.turns, peer.turns))
    thrifty = min(peers, key=lambda peer: peer.median("processor"))
    print(f"attar over the fastest peer: {pairs('texts', fastest):.2f} times the texts/s, {pairs('p99', least):.2f} of the least p99, {pairs('processor', thrifty):.2f} of the least time on a processor by text")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


main()
