#!/usr/bin/env python3
"""Loads a running server with texts of real lengths, and says how fast it answers.

    pip install aiohttp
    benches/serving/load.py TEXTS [--url http://127.0.0.1:8080/embed] [--connections 64] [--seconds 60]

TEXTS has a text a line. Each connection sends one text after the other and waits for each answer. Any answer but 200 is an
error, and an error makes it exit 1.
"""
import argparse
import asyncio
import itertools
import pathlib
import statistics
import time

import aiohttp

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("texts", type=pathlib.Path)
parser.add_argument("--url", default="http://127.0.0.1:8080/embed")
parser.add_argument("--connections", type=int, default=64)
parser.add_argument("--seconds", type=float, default=60)
parser.add_argument("--pid", type=int, help="a process whose memory is told before and after")
arguments = parser.parse_args()


def memory():
    if arguments.pid is None:
        return "not asked for"
    lines = pathlib.Path(f"/proc/{arguments.pid}/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith("VmRSS"))


async def client(session, texts, end, times, errors):
    while time.perf_counter() < end:
        begin = time.perf_counter()
        try:
            async with session.post(arguments.url, json={"inputs": next(texts)}) as answer:
                await answer.read()
                if answer.status != 200:
                    errors.append(answer.status)
        except aiohttp.ClientError as error:
            errors.append(repr(error))
        times.append(time.perf_counter() - begin)


async def main():
    texts = itertools.cycle([line for line in arguments.texts.read_text().splitlines() if line.strip()])
    times, errors = [], []
    connector = aiohttp.TCPConnector(limit=arguments.connections)
    async with aiohttp.ClientSession(connector=connector) as session:
        before, begin = memory(), time.perf_counter()
        end = begin + arguments.seconds
        await asyncio.gather(*(client(session, texts, end, times, errors) for _ in range(arguments.connections)))
        took = time.perf_counter() - begin
    cuts = statistics.quantiles(times, n=100)
    print(f"{len(times)} texts in {took:.1f} s by {arguments.connections} connections: {len(times) / took:.0f} texts/s")
    print(f"p50 {1e3 * cuts[49]:.1f} ms, p95 {1e3 * cuts[94]:.1f} ms, p99 {1e3 * cuts[98]:.1f} ms")
    print(f"{len(errors)} errors {sorted(set(map(str, errors)))}; memory {before} before, {memory()} after")
    return 1 if errors else 0


raise SystemExit(asyncio.run(main()))
