"""Measures a userprofile server beside pgbench and an empty call, in turns.

Writes one line of JSON for each measurement: what was measured, and what
userprofile-bench or pgbench told about it. report.py makes tables and charts
of them. Called by run.sh.
"""

import argparse
import contextlib
import glob
import itertools
import json
import os
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

# What a bot that has the table for itself would run: the same effect as the
# service's statements, one row at a time.
UPSERT = r"""\set id random(1, {users})
INSERT INTO users AS u (user_id, username, first_name, last_name,
  language_code, is_active, onboarding_completed, created_at, last_seen_at,
  updated_at, last_activity, revision)
VALUES (:id, 'user' || :id, 'Test', 'User', 'en', true, false, now(), now(),
  now(), now(), 1)
ON CONFLICT (user_id) DO UPDATE SET username = excluded.username,
  first_name = excluded.first_name, last_name = excluded.last_name,
  language_code = excluded.language_code, is_active = excluded.is_active,
  last_seen_at = excluded.last_seen_at,
  last_activity = excluded.last_activity, revision = u.revision + 1
RETURNING *;
"""
GET = r"""\set id random(1, {users})
SELECT * FROM users WHERE user_id = :id;
"""
ONBOARD = r"""\set id random(1, {users})
UPDATE users SET onboarding_completed = true, real_name = 'Test User',
  nickname = 'nick' || :id, study_track = 'science', updated_at = now(),
  last_seen_at = now(), revision = revision + 1
WHERE user_id = :id AND onboarding_completed IS NOT TRUE RETURNING *;
"""
FILL = """INSERT INTO users (user_id, username, first_name, last_name,
  language_code, is_active, onboarding_completed, created_at, last_seen_at,
  updated_at, last_activity, revision)
SELECT id, 'user' || id, 'Test', 'User', 'en', true, false, now(), now(),
  now(), now(), 1 FROM generate_series(1, {users}) AS id"""
MIX = "upsert=70,get=25,onboard=5"

# All of a table, as if it had been in use for a while.
WARM = """SELECT pg_prewarm('users'), sum(pg_prewarm(indexrelid))
FROM pg_index WHERE indrelid = 'users'::regclass"""

MEMORY_MIB = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20

# As somebody would run PostgreSQL who expects load. Durable: fsync and
# synchronous_commit are on. No checkpoint falls into a measurement, for its work
# would be in some lines and not in others; so no line holds the cost of
# full-page images. Buffers: a quarter of memory,
# https://www.postgresql.org/docs/current/runtime-config-resource.html
POSTGRES = {
    "listen_addresses": "''",
    "max_connections": "1100",
    "shared_buffers": f"{MEMORY_MIB // 4}MB",
    "max_wal_size": "100GB",
    "checkpoint_timeout": "1d",
}


def say(text):
    print(text, file=sys.stderr, flush=True)


class Cluster:
    """A PostgreSQL of its own, on a Unix socket in a temporary folder."""

    def __init__(self):
        candidates = glob.glob("/usr/lib/postgresql/*/bin")
        self.bin = max(candidates, key=lambda p: int(p.split("/")[-2]))
        self.folder = tempfile.mkdtemp(prefix="userprofile-bench-")
        # PostgreSQL does not run as root.
        self.account = "postgres" if os.geteuid() == 0 else None
        if self.account:
            os.chown(self.folder, pwd.getpwnam(self.account).pw_uid, -1)
        self.data = self.folder + "/db"
        self.run("initdb", "-D", self.data, "-U", "userprofile", "-A", "trust",
                 "-E", "UTF8")
        settings = " ".join(f"-c {k}={v}" for k, v in POSTGRES.items())
        self.run("pg_ctl", "-D", self.data, "-l", self.folder + "/log", "-w",
                 "start", "-o", f"-k {self.folder} {settings}")
        with open(self.data + "/postmaster.pid", encoding="ascii") as file:
            self.pid = int(file.readline())

    def command(self, program, *arguments):
        prefix = (["runuser", "-u", self.account, "--"]
                  if self.account else [])
        return [*prefix, f"{self.bin}/{program}", *arguments]

    def run(self, program, *arguments):
        subprocess.run(self.command(program, *arguments), check=True,
                       stdout=subprocess.DEVNULL, cwd="/")

    def conninfo(self, database):
        return f"host={self.folder} user=userprofile dbname={database}"

    def sql(self, database, *statements):
        commands = [word for s in statements for word in ("-c", s)]
        self.run("psql", "-q", "-v", "ON_ERROR_STOP=1",
                 self.conninfo(database), *commands)

    def create_database(self, binaries, name, users):
        """One with that many users, as the migrations make the table."""
        say(f"filling {name} with {users} users")
        self.run("createdb", "-h", self.folder, "-U", "userprofile", name)
        subprocess.run(
            [binaries + "/userprofile-server", "migrate", "up", "--database",
             self.conninfo(name)], check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        self.sql(name, FILL.format(users=users), "VACUUM ANALYZE users")

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "fast", "stop")
        shutil.rmtree(self.folder)


def cpu_seconds(root):
    """User and system time of a process and its children; proc(5)."""
    total = 0
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue  # it has ended
        fields = text[text.rindex(")") + 2:].split()
        if int(text.split()[0]) == root or int(fields[1]) == root:
            total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


class Pgbench:
    """Runs pgbench scripts on one database."""

    def __init__(self, cluster, database, users):
        self.cluster = cluster
        self.database = database
        for name, text in (("upsert", UPSERT), ("get", GET),
                           ("onboard", ONBOARD)):
            with open(f"{cluster.folder}/{name}.sql", "w",
                      encoding="ascii") as file:
                file.write(text.format(users=users))

    def measure(self, mix, clients, seconds, latencies=False):
        """A warm-up, then `seconds` that count, but for the latencies: those
        are of the whole run."""
        scripts = []
        for part in mix.split(","):
            name, _, weight = part.partition("=")
            scripts += ["-f", f"{self.cluster.folder}/{name}.sql@{weight or 1}"]
        # One progress line for the warm-up, then as many as are measured. It ends
        # a second later, for the line that is due at the end is not always there.
        step = 2
        log = [f"--log-prefix={self.cluster.folder}/log", "--log"]
        process = subprocess.Popen(
            self.cluster.command(
                "pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j",
                str(min(clients, 2)), "-P", str(step), "-T",
                str(seconds + step + 1), *scripts, *(log if latencies else []),
                self.cluster.conninfo(self.database)),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            cwd="/")
        rates, before, after = [], None, 0
        for line in process.stderr:
            progress = re.match(r"progress: [\d.]+ s, ([\d.]+) tps", line)
            if not progress:
                continue
            after = cpu_seconds(self.cluster.pid)
            if before is None:
                before = after
            else:
                rates.append(float(progress.group(1)))
        if process.wait() != 0:
            raise RuntimeError("pgbench failed")
        rate = statistics.mean(rates)
        result = {
            "per_second": round(rate),
            "postgres_cpu_us": round(
                (after - before) / (len(rates) * step) * 1e6 / rate, 2),
        }
        if latencies:
            times = []
            for path in glob.glob(self.cluster.folder + "/log.*"):
                with open(path, encoding="ascii") as file:
                    times += [int(line.split()[2]) for line in file]
                os.remove(path)
            result["p50_us"] = statistics.median(times)
        return result


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """userprofile-server on a database of the cluster."""

    seeds = itertools.count(1)  # other users in each measurement

    def __init__(self, binaries, cluster, database, *flags):
        self.binaries = binaries
        self.cluster = cluster
        port, admin = free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        began = time.monotonic()
        self.process = subprocess.Popen(
            [binaries + "/userprofile-server", "serve", "--listen",
             self.address, "--admin-listen", f"127.0.0.1:{admin}",
             "--database", cluster.conninfo(database), *flags],
            stderr=subprocess.DEVNULL)
        while not self.ready(admin):
            if self.process.poll() is not None:
                raise RuntimeError("the server does not start")
            time.sleep(0.0005)
        self.start_ms = round((time.monotonic() - began) * 1000, 1)

    @staticmethod
    def ready(admin):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz"):
                return True
        except OSError:
            return False

    def measure(self, mix, in_flight, seconds, users, **options):
        flags = [word for name, value in options.items()
                 for word in (f"--{name.replace('_', '-')}", str(value))]
        output = subprocess.run(
            [self.binaries + "/userprofile-bench", "--server", self.address,
             "--mix", mix, "--in-flight", str(in_flight), "--seconds",
             str(seconds), "--users", str(users), "--seed",
             str(next(Service.seeds)), "--watch",
             f"server={self.process.pid}", "--watch",
             f"postgres={self.cluster.pid}", *flags],
            stdout=subprocess.PIPE, text=True, check=False).stdout
        result = json.loads(output)
        if result["failures"]:
            raise RuntimeError(f"calls failed: {result['failures']}")
        return result

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            kib = re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)
        return round(int(kib) / 1024, 1)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Measurements:
    def __init__(self, arguments):
        self.binaries = arguments.bin
        self.file = open(arguments.results, "w", encoding="ascii")
        self.cluster = Cluster()
        quick = arguments.quick
        self.users = 10_000 if quick else 1_000_000
        self.rounds = 1 if quick else arguments.rounds
        self.seconds = 2 if quick else 4
        self.table_sizes = ([1000, 10_000] if quick else
                            [1000, 10_000, 100_000, 1_000_000, 10_000_000])

    def close(self):
        self.cluster.stop()
        self.file.close()

    def record(self, what, result, **labels):
        line = {"what": what, **labels, **result}
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        say(json.dumps(line))

    @contextlib.contextmanager
    def serve(self, database, *flags):
        service = Service(self.binaries, self.cluster, database, *flags)
        try:
            yield service
        finally:
            service.stop()

    def create_database(self, name, users):
        self.cluster.create_database(self.binaries, name, users)
        self.cluster.sql(name, "CREATE EXTENSION pg_prewarm", WARM)

    def start_and_memory(self, database):
        for _ in range(self.rounds):
            with self.serve(database) as service:
                self.record("start", {"start_ms": service.start_ms,
                                      "resident_mib": service.resident_mib()})
        for mix in ("get", "upsert"):
            with self.serve(database) as service:
                result = service.measure(mix, 2000, self.seconds, self.users)
                self.record("memory", {"server_resident_mib":
                                       result["server_resident_mib"]},
                            mix=mix, in_flight=2000)

    def in_turns(self, database, in_flight):
        pgbench = Pgbench(self.cluster, database, self.users)
        # What a connection pool would do: as many connections as its users
        # would give it, one row a statement.
        pool = ["--max-batch", "1", "--read-connections", "16",
                "--upsert-connections", "16", "--edit-connections", "4"]
        with self.serve(database) as service, \
                self.serve(database, *pool) as unbatched, \
                self.serve(database, "--max-batch", "1") as unbatched_2:
            for _ in range(self.rounds):
                for mix in ("check", "get", "upsert", MIX):
                    self.record("service", service.measure(
                        mix, in_flight, self.seconds, self.users), mix=mix)
                    if mix == "check":
                        continue
                    self.record("pgbench", pgbench.measure(
                        mix, in_flight, self.seconds), mix=mix)
                for name, other in (("batch size 1, 2 connections",
                                     unbatched_2),
                                    ("batch size 1, 16 connections",
                                     unbatched)):
                    self.record(name, other.measure(
                        "upsert", in_flight, self.seconds, self.users),
                        mix="upsert")

    def alone(self, database):
        pgbench = Pgbench(self.cluster, database, self.users)
        with self.serve(database) as service:
            for _ in range(self.rounds):
                for mix in ("check", "get", "upsert"):
                    self.record("alone", service.measure(
                        mix, 1, self.seconds / 2, self.users, connections=1),
                        mix=mix)
                    if mix != "check":
                        self.record("pgbench alone", pgbench.measure(
                            mix, 1, 2, latencies=True), mix=mix)

    def in_flight(self, database):
        with self.serve(database) as service:
            for in_flight in (1, 4, 16, 64, 128, 256, 512, 1024):
                for mix in ("check", "get", "upsert"):
                    self.record("in flight", service.measure(
                        mix, in_flight, self.seconds / 2, self.users), mix=mix,
                        in_flight=in_flight)

    def batch_size(self, database, in_flight):
        for size in (1, 2, 4, 8, 16, 32, 64, 128, 256):
            with self.serve(database, "--max-batch", str(size)) as service:
                for mix in ("get", "upsert"):
                    self.record("batch size", service.measure(
                        mix, in_flight, self.seconds / 2, self.users), mix=mix,
                        max_batch=size)

    def batches(self, database):
        """Users by a hundred, beside one at a time."""
        with self.serve(database) as service:
            for _ in range(self.rounds):
                for mix in ("get", "upsert"):
                    for size, in_flight in ((1, 128), (100, 8)):
                        result = service.measure(
                            mix if size == 1 else f"{mix}-{size}", in_flight,
                            self.seconds, self.users)
                        self.record("batches", {
                            **result, "per_second": size * result["per_second"]
                        }, mix=mix, size=size)

    def open_loop(self, database):
        """Latency, from when calls were due, at shares of what the closed loop
        reached."""
        with self.serve(database) as service:
            for mix in ("get", "upsert"):
                peak = service.measure(mix, 128, self.seconds / 2, self.users)
                for share in (0.25, 0.5, 0.75):
                    rate = round(peak["per_second"] * share)
                    self.record("open loop", service.measure(
                        mix, 1000, self.seconds / 2, self.users, rate=rate),
                        mix=mix, share=share, rate=rate)

    def table_size(self, in_flight):
        with contextlib.ExitStack() as stack:
            services = {}
            for users in self.table_sizes:
                name = f"size_{users}"
                self.create_database(name, users)
                services[users] = stack.enter_context(self.serve(name))
            for _ in range(self.rounds):
                for users, service in services.items():
                    for mix in ("get", "upsert"):
                        self.record("table size", service.measure(
                            mix, in_flight, self.seconds, users), mix=mix,
                            users=users)

    def all(self):
        in_flight = 128
        self.create_database("main", self.users)
        self.start_and_memory("main")
        self.in_turns("main", in_flight)
        self.alone("main")
        self.in_flight("main")
        self.batch_size("main", in_flight)
        self.batches("main")
        self.open_loop("main")
        self.table_size(in_flight)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--results", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    measurements = Measurements(parser.parse_args())
    try:
        measurements.all()
    finally:
        measurements.close()


if __name__ == "__main__":
    main()
