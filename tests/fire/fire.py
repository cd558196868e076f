"""The real binary under fire: killed, stopped, starved, and judged by the books of a provider and a mail server that live on.

    bash tests/fire/run [--round short|points|random|replicas|stop|disk|clock|all] [--database sqlite|postgres|both]
                        [--each N] [--kills N] [--cases N] [--minutes M] [--seed S] [--binary PATH]
    bash tests/fire/run --self-test
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True    # leave no traces beside the sources
HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "outside"))

import rounds  # noqa: E402
from figures import Figures  # noqa: E402

ROUNDS = ("points", "random", "replicas", "stop", "disk", "clock")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--round", choices=("short", "all", *ROUNDS), default="short")
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both", help="for points and random")
    parser.add_argument("--each", type=int, default=1, help="points: how often each is hit")
    parser.add_argument("--kills", type=int, default=40, help="random: how many, on each database")
    parser.add_argument("--cases", type=int, default=0, help="random: at least so many, on each database")
    parser.add_argument("--minutes", type=float, default=3, help="replicas, stop and clock: how long")
    parser.add_argument("--outage-secs", type=float, default=20, help="replicas: how often PostgreSQL goes away")
    parser.add_argument("--speed", type=float, default=5, help="replicas and stop: the world's time, where libfaketime is installed")
    parser.add_argument("--per-sec", type=float, default=2, help="replicas and stop: how many invoices fail in a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--binary", required="--self-test" not in sys.argv, help="built with --features failpoints")
    parser.add_argument("--keep-log", metavar="FILE", help="copy the service's last log there")
    parser.add_argument("--self-test", action="store_true", help="try the judge on books with each sin in them")
    return parser.parse_args()


def check_binary(path):
    """The point of the run is lost without failpoints, so look before."""
    if b"RECOUP_FAILPOINT" not in pathlib.Path(path).read_bytes():
        raise SystemExit("%s has no failpoints: build it with --features failpoints" % path)


def commit():
    said = subprocess.run(["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def main():
    options = arguments()
    if options.self_test:
        import sins
        return sins.run()
    options.binary = os.path.abspath(options.binary)
    check_binary(options.binary)
    # A killed process loses nothing that it wrote, on whatever disk; memory is the fastest of them.
    if os.access("/dev/shm", os.W_OK):
        tempfile.tempdir = "/dev/shm"
    figures, began = Figures(), time.monotonic()
    kinds = ("sqlite", "postgres") if options.database == "both" else (options.database,)
    print("commit %s, seed %d" % (commit(), options.seed), flush=True)
    names = {"short": ("points", "random"), "all": ROUNDS}.get(options.round, (options.round,))
    for name in names:
        getattr(rounds, "play_" + name)(options, kinds, figures)
    print("\n%s in %d s" % ("nothing was violated" if not figures.failed else "%d checks fail" % figures.failed, time.monotonic() - began))
    return 1 if figures.failed else 0


if __name__ == "__main__":
    sys.exit(main())
