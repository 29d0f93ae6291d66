"""An indexing run in a process of its own, to be killed, starved or stripped of rights. Prints the report as JSON."""

import argparse
import json
import os
import resource
import sys
from pathlib import Path

import filelock  # noqa: F401 - before the rights to read it are given up
from PIL import Image
from store_samples import SketchEncoder

from mmretrieval.errors import MMRetrievalError
from mmretrieval.indexing import index

NOBODY = 65534


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("index", type=Path)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--nobody", action="store_true")
    parser.add_argument("--most-bytes", type=int)
    parser.add_argument("--say-ready", action="store_true")
    given = parser.parse_args()
    Image.init()
    if given.nobody:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    if given.most_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.most_bytes, given.most_bytes))
    if given.say_ready:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
    encoder = SketchEncoder(log=given.log, seconds=given.seconds)
    try:
        report = index(given.source, given.index, encoder=encoder, batch_size=given.batch)
    except MMRetrievalError as error:
        sys.stdout.write(json.dumps({"error": type(error).__name__, "message": str(error)}))
        return error.exit_code
    sys.stdout.write(json.dumps({**report.to_dict(), "peak_kib": peak_kib()}))
    return 0


def peak_kib():
    """The most memory that this program held; what getrusage tells counts in what its parent held when it forked."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("this system does not tell a program's peak of memory in /proc")


if __name__ == "__main__":
    sys.exit(main())
