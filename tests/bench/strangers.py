"""Tells how much longer calls take while strangers attack the same port.

Calls are due at a steady rate, first alone, then beside each attack: from three
connections of another address, which come again whenever they are cut off. One
line of JSON for each, with the memory of the server. Where there are two cores
or more, the attackers and the load have one, the server and its database the
others. Takes a minute.
"""

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import select
import socket
import subprocess

from measure import Cluster, Service

CORES = sorted(os.sched_getaffinity(0))
ATTACKERS = 3
HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 1, 3, 4, 6, 9
END_HEADERS = 4


def frame(kind, flags, stream, payload):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) +
            stream.to_bytes(4, "big") + payload)


def header(name, value):
    """One that the other end shall remember."""
    return b"\x40" + bytes([len(name)]) + name + bytes([len(value)]) + value


GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"")
CALL = b"".join(header(name, value) for name, value in (
    (b":method", b"POST"), (b":scheme", b"http"),
    (b":path", b"/userprofile.v1.UserProfileService/GetProfile"),
    (b":authority", b"x"), (b"content-type", b"application/grpc"),
    (b"te", b"trailers")))
SAME_CALL = b"\xc3\xc2\xc1\xc0\xbf\xbe"


def reset(number, headers):
    stream = 2 * number + 1
    return (frame(HEADERS, END_HEADERS, stream, headers) +
            frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big")))


# What is said on each connection: two megabytes and more, or as many calls as may
# be begun on it, none of which ends.
ATTACKS = {
    "held calls": GREETING + frame(HEADERS, END_HEADERS, 1, CALL) + b"".join(
        frame(HEADERS, END_HEADERS, stream, SAME_CALL)
        for stream in range(3, 128, 2)),
    "endless headers": GREETING + frame(HEADERS, 0, 1, CALL) +
                       16_000 * frame(CONTINUATION, 0, 1,
                                      header(b"x", 120 * b"x")),
    "rapid reset": GREETING + reset(0, CALL) +
                   b"".join(reset(n, SAME_CALL) for n in range(1, 80_000)),
    "settings": GREETING + b"".join(
        frame(SETTINGS, 0, 0, (4).to_bytes(2, "big") +
              (65535 + n % 2).to_bytes(4, "big")) for n in range(130_000)),
    "pings": GREETING + 120_000 * frame(PING, 0, 0, b"12345678"),
}


def attack(address, data):
    """Until it is killed."""
    os.sched_setaffinity(0, CORES[-1:])
    host, port = address.split(":")
    held = collections.deque(maxlen=100)  # one that drops out is closed
    while True:
        with contextlib.suppress(OSError):
            peer = socket.create_connection((host, int(port)),
                                            source_address=("127.0.0.2", 0))
            held.append(peer)
            peer.setblocking(False)
            sent = 0
            while sent < len(data):
                readable, writable, _ = select.select([peer], [peer], [])
                if readable and not peer.recv(65536):
                    break
                if writable:
                    sent += peer.send(data[sent:sent + 65536])


def megabytes(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) // 1024 for line in status
                    if line.startswith("VmRSS:"))


def measure(arguments, service, name, data=None):
    attackers = [multiprocessing.Process(target=attack, daemon=True,
                                         args=(service.address, data))
                 for _ in range(ATTACKERS if data else 0)]
    for attacker in attackers:
        attacker.start()
    output = subprocess.run(
        [arguments.bin + "/userprofile-bench", "--server", service.address,
         "--mix", "upsert", "--users", str(arguments.users), "--rate",
         str(arguments.rate), "--in-flight", "64", "--seconds",
         str(arguments.seconds)],
        stdout=subprocess.PIPE, text=True, check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, CORES[-1:])).stdout
    memory = megabytes(service.process)
    for attacker in attackers:
        attacker.kill()
        attacker.join()
    result = json.loads(output)
    print(json.dumps({"what": name, "per_second": result["per_second"],
                      "p50_us": result["p50_us"], "p99_us": result["p99_us"],
                      "failures": result["failures"],
                      "server_megabytes": memory}), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin",
                        help="where the programs lie")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=8,
                        help="of each measurement")
    arguments = parser.parse_args()
    if len(CORES) > 1:
        os.sched_setaffinity(0, CORES[:-1])
    with contextlib.ExitStack() as stack:
        cluster = Cluster()
        stack.callback(cluster.stop)
        cluster.create_database(arguments.bin, "strangers", arguments.users)
        service = Service(arguments.bin, cluster, "strangers")
        stack.callback(service.stop)
        measure(arguments, service, "nobody else")
        for name, data in ATTACKS.items():
            measure(arguments, service, name, data)
        measure(arguments, service, "nobody else")


if __name__ == "__main__":
    main()
