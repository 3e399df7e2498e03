"""Puts three times its capacity on a userprofile server, and tells what is left.

From a few connections and from many: each keeps calls back that the server does
not take at a time, but what many send together is a long queue at the server.

First a closed loop finds the peak. Then calls are due in an open loop, three
times as many a second as that, whether others were answered or not, and none
waits for longer than a second. Then, as soon as the last of them has ended, half
the peak: has the server recovered when two seconds of that are over? That several
times over. One line of JSON for each, and a verdict.

Where there are two cores or more, the load has one of its own; what it uses
would else be missing to the server. Takes some five minutes.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys

from measure import Cluster, Service

CORES = sorted(os.sched_getaffinity(0))
TIMES = 3
TIMEOUT_SECONDS = 1
CALLS_PER_CONNECTION = 64  # what the server takes
RECOVERY_SECONDS = 2


def bench(arguments, service, name, **options):
    """Runs userprofile-bench on the last core; it may report failed calls."""
    flags = [word for key, value in options.items()
             for word in (f"--{key.replace('_', '-')}", str(value))]
    output = subprocess.run(
        [arguments.bin + "/userprofile-bench", "--server", service.address,
         "--mix", arguments.mix, "--users", str(arguments.users),
         "--timeout", str(TIMEOUT_SECONDS), "--seconds",
         str(arguments.seconds), "--watch", f"server={service.process.pid}",
         *flags],
        stdout=subprocess.PIPE, text=True, check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, CORES[-1:])).stdout
    result = {"what": name, **json.loads(output)}
    print(json.dumps(result), flush=True)
    return result


def measure(arguments, service, connections):
    """One round."""
    room = CALLS_PER_CONNECTION * connections
    peak = max(bench(arguments, service, "peak", in_flight=n,
                     connections=connections)["per_second"]
               for n in (128, 512))
    overload = bench(arguments, service, "overload", connections=connections,
                     rate=TIMES * peak, in_flight=room)
    recovered = bench(arguments, service, "recovered", connections=connections,
                      rate=peak // 2, in_flight=room, warm_up=RECOVERY_SECONDS)
    return {"peak": peak,
            "goodput": overload["per_second"],
            "accepted_p99_ms": overload["p99_us"] / 1000,
            "recovered_p99_ms": recovered["p99_us"] / 1000,
            "failures_after": sum(recovered["failures"].values())}


def verdict(connections, rounds):
    """The medians of the rounds, for a checkpoint or an autovacuum may fall into
    any part of one; and what each round saw by itself."""
    def median(key):
        return statistics.median(r[key] for r in rounds)
    ratios = sorted(r["goodput"] / r["peak"] for r in rounds)
    print(json.dumps({
        "what": "verdict",
        "connections": connections,
        "rounds": len(rounds),
        "goodput_of_peak": round(median("goodput") / median("peak"), 2),
        "of_its_own_round": [round(ratio, 2) for ratio in ratios],
        "accepted_p99_ms": round(median("accepted_p99_ms")),
        "recovered_p99_ms": round(median("recovered_p99_ms")),
        "failures_after": sum(r["failures_after"] for r in rounds),
    }), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin",
                        help="where the programs lie")
    parser.add_argument("--mix", default="upsert")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=6,
                        help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+",
                        default=[4, 64, 128],
                        help="of a few callers, and of many")
    parser.add_argument("flags", nargs="*",
                        help="of the server, behind --")
    arguments = parser.parse_args()
    if len(CORES) > 1:
        os.sched_setaffinity(0, CORES[:-1])
    else:
        print("one core: the load is on it, too", file=sys.stderr)
    with contextlib.ExitStack() as stack:
        cluster = Cluster()
        stack.callback(cluster.stop)
        cluster.create_database(arguments.bin, "overload", arguments.users)
        service = Service(arguments.bin, cluster, "overload",
                          *arguments.flags)
        stack.callback(service.stop)
        rounds = {connections: [] for connections in arguments.connections}
        for _ in range(arguments.rounds):
            for connections, measured in rounds.items():
                measured.append(measure(arguments, service, connections))
        for connections, measured in rounds.items():
            verdict(connections, measured)


if __name__ == "__main__":
    main()
