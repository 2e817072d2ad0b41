"""Writes the scripted traces that README.md describes. Takes no input; needs Python 3 alone."""

import json
import pathlib

HERE = pathlib.Path(__file__).parent
STEP_MS = 10
START_J = 5000.0
NOT_SUPPORTED = "not supported by this board"


def write(name, length_ms, sample):
    device = {"component": "gpu0", "name": "0: scripted board", "unit_j": 0.001, "range": None}
    trace = {"devices": [device], "start": "2026-11-22T12:00:00Z", "host": None}
    lines = [{"schema": 1, "trace": trace}]
    for ms in range(0, length_ms + 1, STEP_MS):
        lines.append({"t_s": ms / 1000, "device": "gpu0"} | sample(ms))
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (HERE / f"{name}.jsonl").write_text(text)


def counter(watts, period_ms, sensor=None):
    """A counter that is renewed every so many milliseconds, and a sensor beside it."""

    def sample(ms):
        joules = START_J + watts * (ms // period_ms * period_ms) / 1000
        shown = watts if sensor is None else sensor(ms)
        return {"energy_j": round(joules, 3), "power_w": round(shown, 3), "utilization": 0.5}

    return sample


def square(ms):
    # Whole periods of 100 ms use 25 J; the second half of each is the busy one.
    inside = ms % 100
    joules = ms // 100 * 25 + (inside * 0.1 if inside <= 50 else 5 + (inside - 50) * 0.4)
    return {"energy_j": round(START_J + joules, 3), "power_w": 400.0, "utilization": 0.5}


def reload(ms):
    joules = START_J + 0.2 * ms if ms < 1000 else 0.2 * (ms - 1000)
    return {"energy_j": round(joules, 3), "power_w": 200.0, "utilization": 1.0}


def lost(ms):
    if 1000 <= ms < 1500:
        return {"error": "board lost"}
    return {"energy_j": round(START_J + 0.2 * ms, 3), "power_w": 200.0, "utilization": 1.0}


write("counter-20ms", 2000, counter(300.0, 20))
write("counter-100ms", 2000, counter(300.0, 100))
write("idle-disagreement", 2000, counter(37.4, 20, lambda ms: 65.4))
write("busy-agreement", 2000, counter(500.0, 20, lambda ms: 500.0 + (10.0 if ms // 100 % 2 else -10.0)))
write("square-wave", 2000, square)
write("driver-reload", 2000, reload)
write("board-lost", 2000, lost)
write("no-counter", 2000, lambda ms: {"power_w": round(100 + ms / 20, 3), "utilization": 1.0})
write("nothing", 1000, lambda ms: {"error": NOT_SUPPORTED})
