"""Sums up the statistics of a run: statistics.py DIRECTORY, one JSON file for each process in it.

Prints "EVICTIONS FAULTS ERRORS PROCESSES SWAP_INS". Says what is wrong and ends with 1 when there is no
file, a key of the contract is missing, or numbers contradict each other.
"""

import json
import pathlib
import sys

KEYS = {
    "config": "arena swap heap page shared policy",
    "frames": "total bookkeeping shared resident resident_peak",
    "faults": "first_touch swap_in reference first_write collision stray",
    "evictions": "clean dirty zero",
    "swap": "slots used used_peak reads writes bytes_read bytes_written errors",
    "malloc": "calls frees failed bytes bytes_peak",
}


def complaints(statistics):
    """What is wrong with one process's statistics."""
    for key in "version pid program threads threads_detail".split():
        if key not in statistics:
            yield f"'{key}' is missing"
    for part, names in KEYS.items():
        for name in names.split():
            if name not in statistics.get(part, {}):
                yield f"'{part}.{name}' is missing"
                return
    frames, swap, config = statistics["frames"], statistics["swap"], statistics["config"]
    pages = frames["total"] - frames["bookkeeping"] - frames["shared"]
    if not frames["resident"] <= frames["resident_peak"] <= pages:
        yield f"resident {frames['resident']} <= peak {frames['resident_peak']} <= {pages} does not hold"
    if frames["total"] * config["page"] > config["arena"]:
        yield f"{frames['total']} frames exceed the arena of {config['arena']} bytes"
    if not swap["used"] <= swap["used_peak"] <= swap["slots"]:
        yield f"swap used {swap['used']} <= peak {swap['used_peak']} <= {swap['slots']} does not hold"
    if statistics["malloc"]["frees"] > statistics["malloc"]["calls"]:
        yield "more frees than allocations"


def main(directory):
    evictions = faults = errors = swap_ins = wrong = 0
    files = sorted(pathlib.Path(directory).iterdir())
    for file in files:
        try:
            statistics = json.loads(file.read_text())
        except ValueError as error:
            print(f"{file.name} is not JSON: {error}")
            wrong += 1
            continue
        for complaint in complaints(statistics):
            print(f"{file.name} ({statistics.get('program')}): {complaint}")
            wrong += 1
        evictions += sum(statistics.get("evictions", {}).values())
        faults += sum(statistics.get("faults", {}).values())
        errors += statistics.get("swap", {}).get("errors", 0)
        swap_ins += statistics.get("faults", {}).get("swap_in", 0)
    if not files:
        print("no process wrote its statistics")
        wrong += 1
    if not wrong:
        print(evictions, faults, errors, len(files), swap_ins)
    return 1 if wrong else 0


sys.exit(main(sys.argv[1]))
