#!/usr/bin/env python3
"""Starts `attar serve` and does to it what clients and operators do wrong; prints what each thing came to, and exits 1 at the first that hinders
others or ends the server.

    benches/serving/faults.py --attar target/release/attar --bundle STUDENT [--idle 10000]

Needs as many open files as idle connections (`ulimit -Hn`); the limits of this process and of the server are raised as far.
"""
import argparse
import json
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("--attar", required=True, type=pathlib.Path)
parser.add_argument("--bundle", required=True, type=pathlib.Path)
parser.add_argument("--idle", type=int, default=10_000)
options = parser.parse_args()
# The p99 of others beside clients that do wrong may be so many times the quiet one: other work on the machine alone can triple it.
MOST_TIMES = 10


def check(what, holds, detail=""):
    print(f"{what}: {detail or 'as it should be'}", flush=True)
    if not holds:
        sys.exit(f"{what}: NOT SO")


def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def head(body, close=True):
    closing = "connection: close\r\n" if close else ""
    return f"POST /predict HTTP/1.1\r\nhost: x\r\n{closing}content-length: {len(body)}\r\n\r\n".encode() + body


def body_of(text):
    return json.dumps({"inputs": text}).encode()


class Server:
    def __init__(self, bundle):
        command = [options.attar, "serve", f"student={bundle}", "--port", "0", "--source", "off", "--log", "json"]
        command += ["--max-connections", options.idle + 1000, "--timeout", "5s"]
        self.process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        self.events = {}
        # Notes for a person come before the first event.
        first = next(json.loads(line) for line in self.process.stderr if line.startswith("{"))
        host, port = first["at"].removeprefix("http://").rsplit(":", 1)
        self.address = (host, int(port))
        threading.Thread(target=self.read_events, daemon=True).start()

    def read_events(self):
        for line in self.process.stderr:
            event = json.loads(line)["event"] if line.startswith("{") else line.strip()
            self.events[event] = self.events.get(event, 0) + 1

    def connect(self):
        return socket.create_connection(self.address, timeout=60)

    def ask(self, text):
        """Status and JSON of an answer, and its milliseconds."""
        begin = time.perf_counter()
        with self.connect() as stream:
            stream.sendall(head(body_of(text)))
            status, body = answer(stream)
        return status, json.loads(body), 1e3 * (time.perf_counter() - begin)

    def wait_for(self, event, count):
        for _ in range(300):
            if self.events.get(event, 0) >= count:
                return True
            time.sleep(0.1)
        return False


def answer(stream):
    data = bytearray()
    while chunk := stream.recv(65536):
        data += chunk
    begin, _, body = bytes(data).partition(b"\r\n\r\n")
    return (int(begin.split()[1]), body) if begin else (0, b"")


class Latency:
    """Milliseconds of answers to one client."""

    def __init__(self, server, count=100):
        times = sorted(server.ask("play some jazz")[2] for _ in range(count))
        self.p50, self.p99 = times[count // 2], times[count * 99 // 100]

    def __str__(self):
        return f"p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms"


def closed_among(streams):
    """How many the server has closed; from the others there is nothing to read."""
    closed = 0
    for stream in streams:
        stream.setblocking(False)
        try:
            closed += stream.recv(1) == b""
        except BlockingIOError:
            pass
        except ConnectionResetError:
            closed += 1
    return closed


def idle_connections(server):
    before, quiet = memory(server.process.pid), Latency(server)
    streams = [server.connect() for _ in range(options.idle)]
    beside = Latency(server)
    now = memory(server.process.pid)
    closed = closed_among(streams)
    each = 1024 * (now - before) / max(1, options.idle)
    detail = f"{quiet} before, {beside} beside them; {closed} closed; {before:.0f} MB before, {now:.0f} MB with them, {each:.0f} kB each"
    check(f"{options.idle} idle connections", closed == 0 and beside.p99 <= MOST_TIMES * quiet.p99, detail)
    further = [server.connect() for _ in range(1500)]
    time.sleep(1)
    refused = closed_among(further)
    check("1,500 more, past the limit", refused >= 500, f"{refused} closed at once")
    for stream in streams + further:
        stream.close()
    time.sleep(1)
    check("after they left", server.ask("play some jazz")[0] == 200, f"{Latency(server)}; {memory(server.process.pid):.0f} MB")


def half_closed(server):
    statuses = {}
    for index in range(300):
        whole = head(body_of("play some jazz"))
        with server.connect() as stream:
            stream.sendall(whole if index % 2 else whole[:-5])
            stream.shutdown(socket.SHUT_WR)
            try:
                status = answer(stream)[0]
            except ConnectionResetError:
                status = 0
        key = (("whole" if index % 2 else "half"), status)
        statuses[key] = statuses.get(key, 0) + 1
    # Half a request is refused or closed; whoever sends a whole one and says no more waits for the answer.
    expected = {"half": {0, 400}, "whole": {200}}
    wrong = [key for key in statuses if key[1] not in expected[key[0]]]
    check("300 half-closed connections", not wrong, ", ".join(f"{who} request, status {status}: {n}" for (who, status), n in sorted(statuses.items())))
    check("others meanwhile", server.ask("play some jazz")[0] == 200, str(Latency(server)))


def slow_clients(server):
    """Clients whose header never ends: a byte each every 100 ms, until the server closes them after 10 s, twice its --timeout."""
    quiet = Latency(server)
    streams = [server.connect() for _ in range(200)]
    for stream in streams:
        stream.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\nslow: ")
    open_ones, begin = list(streams), time.perf_counter()

    def drip():
        while open_ones and time.perf_counter() - begin < 30:
            for stream in list(open_ones):
                try:
                    stream.sendall(b"x")
                except OSError:
                    open_ones.remove(stream)
            time.sleep(0.1)

    dripping = threading.Thread(target=drip)
    dripping.start()
    beside, still_open = Latency(server), len(open_ones)
    dripping.join()
    took = time.perf_counter() - begin
    detail = f"{200 - len(open_ones)} closed within {took:.0f} s; others {quiet} before, {beside} beside {still_open} of them"
    check("200 slow clients", not open_ones and still_open > 0 and beside.p99 <= MOST_TIMES * quiet.p99, detail)
    for stream in streams:
        stream.close()


def swapped(server, served, good):
    """A bundle that is replaced by broken ones and by itself, under load."""
    statuses, stop = {}, threading.Event()

    def load():
        while not stop.is_set():
            status = server.ask("play some jazz")[0]
            statuses[status] = statuses.get(status, 0) + 1

    expected = server.ask("play some jazz")[1]
    threads = [threading.Thread(target=load) for _ in range(8)]
    [thread.start() for thread in threads]
    weights = next(good.glob("model*.safetensors")).name
    for turn, (file, content) in enumerate([("config.json", b"{"), (weights, b"\x08" + b"\0" * 7 + b"{}      "), ("tokenizer.json", b"[]")]):
        whole = (served / file).read_bytes()
        (served / file).write_bytes(content)
        server.process.send_signal(signal.SIGHUP)
        check(f"a broken {file} under load", server.wait_for("reload_refused", turn + 1), "refused, the old bundle stays")
        (served / file).write_bytes(whole)
        server.process.send_signal(signal.SIGHUP)
        check("the whole one again", server.wait_for("reloaded", turn + 1), "accepted")
    stop.set()
    [thread.join() for thread in threads]
    check("answers meanwhile", set(statuses) == {200}, f"{statuses[200]} answers, all with status 200")
    check("the answer afterwards", server.ask("play some jazz")[1] == expected)


def strange_texts(server):
    texts = {"NUL": "\0", "NUL inside": "a\0b", "a word of 100,000 characters": "x" * 100_000, "100,000 words": "x " * 100_000, "direction marks": "\u202e\ufffd"}
    for name, text in texts.items():
        status, _, took = server.ask(text)
        check(name, status == 200, f"status {status} in {took:.0f} ms")
    for name, body in {"half JSON": b'{"inputs": "a', "no UTF-8": b'{"inputs": "\xff"}', "100,000 brackets": b"[" * 100_000, "nothing": b""}.items():
        with server.connect() as stream:
            stream.sendall(head(body))
            status, _ = answer(stream)
        check(name, status == 400, f"status {status}")


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < options.idle + 2000:
        sys.exit(f"{options.idle} connections need {options.idle + 2000} open files, and the hard limit is {hard}: give fewer (--idle)")
    with tempfile.TemporaryDirectory() as folder:
        served = pathlib.Path(folder) / "student"
        shutil.copytree(options.bundle, served)
        server = Server(served)
        try:
            strange_texts(server)
            half_closed(server)
            slow_clients(server)
            swapped(server, served, options.bundle)
            idle_connections(server)
            server.process.send_signal(signal.SIGTERM)
            check("SIGTERM", server.process.wait(60) == 0, "ended in order")
        finally:
            server.process.kill()


main()
