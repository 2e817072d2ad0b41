#!/usr/bin/env python3
"""Starts `attar serve` and asks it for an hour what clients ask, well and badly, and prints its memory each minute.

    pip install aiohttp
    benches/serving/endurance.py --attar target/release/attar --bundle STUDENT --texts FILE [--minutes 60] [--connections 32]

FILE has a text a line. Single texts and lists to `/predict`, `/embed` and `/tokenize`, texts that are too long, bodies that are no JSON, clients
that leave before their answer, the counters, and a reload (SIGHUP) every ten seconds. Exits 1 if an answer has another status than it
should or does not come, if a reload is refused or there was none, or if memory in the last quarter exceeds that of the second by a tenth.
"""
import argparse
import asyncio
import collections
import json
import math
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import time

import aiohttp

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("--attar", required=True, type=pathlib.Path)
parser.add_argument("--bundle", required=True, type=pathlib.Path)
parser.add_argument("--texts", required=True, type=pathlib.Path)
parser.add_argument("--minutes", type=float, default=60)
parser.add_argument("--connections", type=int, default=32)
options = parser.parse_args()
texts = [line for line in options.texts.read_text().splitlines() if line]
counts, wrong, times = collections.Counter(), collections.Counter(), []


def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def request(draw):
    """Method, route, body, and the status that it should have."""
    text, kind = draw.choice(texts), draw.random()
    if kind < 0.6:
        return "POST", "/predict", {"inputs": text}, 200
    if kind < 0.7:
        return "POST", "/predict", {"inputs": [[draw.choice(texts)] for _ in range(draw.randint(1, 64))]}, 200
    if kind < 0.8:
        return "POST", "/embed", {"inputs": [draw.choice(texts) for _ in range(draw.randint(1, 32))]}, 200
    if kind < 0.85:
        return "POST", "/tokenize", {"inputs": text}, 200
    if kind < 0.9:
        return "POST", "/predict", {"inputs": text * draw.randint(1, 2000), "truncate": True}, 200
    if kind < 0.95:
        return "POST", "/predict", "{" + text, 400
    if kind < 0.98:
        return "POST", "/predict", {"inputs": [text, text, text]}, 422
    return "GET", "/metrics", None, 200


async def client(session, base, draw, end):
    while time.monotonic() < end:
        method, route, body, expected = request(draw)
        data = body if isinstance(body, str | None) else json.dumps(body)
        begin = time.perf_counter()
        try:
            patience = draw.choice([0.001, 0.01]) if draw.random() < 0.02 else 60
            async with asyncio.timeout(patience):
                async with session.request(method, base + route, data=data) as answer:
                    await answer.read()
                    counts[route, answer.status] += 1
                    if answer.status != expected:
                        wrong[route, answer.status] += 1
            times.append(time.perf_counter() - begin)
        except TimeoutError:
            counts["left early" if patience < 60 else "no answer"] += 1
            wrong["no answer"] += patience == 60
        except aiohttp.ClientError as error:
            wrong[type(error).__name__] += 1
            # A server that is gone refuses at once: without this, clients would only count that.
            await asyncio.sleep(0.1)


async def reloads(process, end):
    while time.monotonic() < end:
        await asyncio.sleep(10)
        process.send_signal(signal.SIGHUP)


async def minutes(process, end):
    all_memory, minute = [], 0
    while time.monotonic() < end:
        await asyncio.sleep(60)
        minute += 1
        all_memory.append(memory(process.pid))
        cuts = statistics.quantiles(times, n=100) if len(times) > 1 else [math.nan] * 99
        print(f"minute {minute}: {all_memory[-1]:.1f} MB, {len(times)} answers, p50 {1e3 * cuts[49]:.1f} ms, p99 {1e3 * cuts[98]:.1f} ms, {sum(wrong.values())} wrong", flush=True)
        times.clear()
    return all_memory


async def main():
    command = [options.attar, "serve", f"student={options.bundle}", "--port", "0", "--source", "off", "--log", "json"]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    try:
        # Notes for a person come before the first event.
        base = next(json.loads(line)["at"] for line in process.stderr if line.startswith("{"))
        drained = asyncio.get_running_loop().run_in_executor(None, lambda: collections.Counter(json.loads(line)["event"] for line in process.stderr if line.startswith("{")))
        end = time.monotonic() + 60 * options.minutes
        connector = aiohttp.TCPConnector(limit=options.connections)
        async with aiohttp.ClientSession(connector=connector) as session:
            clients = [client(session, base, random.Random(seed), end) for seed in range(options.connections)]
            all_memory, *_ = await asyncio.gather(minutes(process, end), reloads(process, end), *clients)
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        events = await drained
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    print({" ".join(map(str, key)) if isinstance(key, tuple) else key: count for key, count in counts.items()})
    print(f"reloads {events['reloaded']}, refused {events['reload_refused']}; wrong {dict(wrong)}; ended with {code}")
    quarter = max(1, len(all_memory) // 4)
    second, last = statistics.median(all_memory[quarter : 2 * quarter] or all_memory), statistics.median(all_memory[-quarter:])
    print(f"memory: second quarter {second:.1f} MB, last {last:.1f} MB")
    reloaded = events["reloaded"] > 0 and events["reload_refused"] == 0
    return 1 if sum(wrong.values()) or code or not reloaded or last > 1.1 * second else 0


sys.exit(asyncio.run(main()))
