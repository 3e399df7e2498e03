"""Measures ListProfiles and CountProfiles, and what they do to others.

First a walk through all users beside COPY of the same rows, in turns; then one
while others upsert, edit and delete, which must see everybody who stays exactly
once. Then bots' calls at half of what the closed loop reaches, alone and beside
a list whose filter lets nobody pass. One line of JSON for each, and a verdict.
Takes some minutes, and 3 GB of disk with 10,000,000 users for the last part.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import threading
import time

from measure import Cluster, Service

# As many columns as a profile has, in the order of a list.
COPY = "COPY (SELECT * FROM users ORDER BY user_id) TO STDOUT"

# Users that are multiples of ten stay; the others come and go.
STEP = 10
FILL = """INSERT INTO users (user_id, username, first_name, last_name,
  language_code, nickname, created_at, last_seen_at, updated_at, last_activity)
SELECT {step} * id, 'user' || id, 'Test', 'User', 'en', 'nick' || id, now(),
  now(), now(), now() FROM generate_series(1, {users}) AS id"""
EDIT = """UPDATE users SET first_name = 'n' || {n}, revision = revision + 1
WHERE user_id % 10 = 0 AND user_id / 10 % 1000 = {n} % 1000"""
DELETE = """DELETE FROM users WHERE user_id IN (SELECT {step} * (random() *
  {users})::bigint + 1 + id % 9 FROM generate_series(1, 2000) AS id)"""


def tell(what, result):
    print(json.dumps({"what": what, **result}), flush=True)
    return result


class Walks:
    def __init__(self, arguments, stack):
        self.arguments = arguments
        self.stack = stack
        self.cluster = Cluster()
        stack.callback(self.cluster.stop)

    def database(self, name, users):
        self.cluster.create_database(self.arguments.bin, name, 1)
        self.cluster.sql(name, "DELETE FROM users",
                         FILL.format(step=STEP, users=users),
                         "VACUUM ANALYZE users",
                         "CREATE EXTENSION pg_prewarm",
                         "SELECT pg_prewarm('users'), pg_prewarm('users_pkey')")

    def serve(self, name):
        service = Service(self.arguments.bin, self.cluster, name)
        self.stack.callback(service.stop)
        return service

    def start_walk(self, service, **options):
        flags = [word for key, value in options.items()
                 for word in (f"--{key.replace('_', '-')}", str(value))]
        return subprocess.Popen(
            [self.arguments.bin + "/userprofile-walk", "--server",
             service.address, *flags], stdout=subprocess.PIPE, text=True)

    def walk(self, service, what, **options):
        process = self.start_walk(service, **options)
        output, _ = process.communicate()
        if process.returncode != 0:
            raise RuntimeError("the walk failed")
        return tell(what, json.loads(output))

    def copy_seconds(self, name):
        began = time.monotonic()
        subprocess.run(
            self.cluster.command("psql", "-q", "-c", COPY,
                                 self.cluster.conninfo(name)),
            check=True, stdout=subprocess.DEVNULL, cwd="/")
        return time.monotonic() - began

    def beside_copy(self, name, service, users):
        walked, copied = [], []
        for _ in range(self.arguments.rounds):
            copied.append(users / self.copy_seconds(name))
            tell("copy", {"users_per_second": copied[-1]})
            walked.append(self.walk(service, "walk", step=STEP))
        rate = statistics.median(w["users_per_second"] for w in walked)
        first = statistics.median(w["first_pages_us"] for w in walked)
        last = statistics.median(w["last_pages_us"] for w in walked)
        return {"of_copy": round(rate / statistics.median(copied), 2),
                "last_page_of_first": round(last / first, 2)}

    def among_writers(self, name, service, users):
        stop = threading.Event()

        def write():
            n = 0
            while not stop.is_set():
                n += 1
                self.cluster.sql(name, EDIT.format(n=n),
                                 DELETE.format(step=STEP, users=users))

        def upsert():
            while not stop.is_set():
                service.measure("upsert", 16, 2, STEP * users)

        threads = [threading.Thread(target=f) for f in (write, upsert)]
        for thread in threads:
            thread.start()
        walk = self.walk(service, "walk among writers", step=STEP)
        stop.set()
        for thread in threads:
            thread.join()
        return {"missing": walk["missing"] +
                           (STEP * users - walk["last_user"]) // STEP,
                "not_in_order": walk["not_in_order"]}

    def beside_bots(self, service, users):
        """Latencies from when calls were due, at half of the closed loop."""
        ratios = {}
        for mix in ("upsert", "get"):
            # Of the first tenth of the ids every tenth is known; so all is
            # written to a table as it is, but for those who are new.
            peak = service.measure(mix, 128, 3, users)["per_second"]
            alone, beside = [], []
            for _ in range(self.arguments.rounds):
                for times, walks in ((alone, False), (beside, True)):
                    walk = None
                    if walks:
                        walk = self.start_walk(
                            service, nickname_prefix="nobody",
                            seconds=self.arguments.seconds + 2)
                    result = service.measure(mix, 1000,
                                             self.arguments.seconds, users,
                                             rate=peak // 2)
                    times.append(result["p99_us"])
                    tell(f"{mix} {'beside a list' if walks else 'alone'}",
                         result)
                    if walk is not None:
                        output, _ = walk.communicate()
                        tell("list of nobody", json.loads(output))
            ratios[f"{mix}_p99_beside"] = round(
                statistics.median(beside) / statistics.median(alone), 2)
        return ratios

    def of_nobody(self, service, users):
        walk = self.walk(service, "list of nobody, alone",
                         nickname_prefix="nobody")
        return {"nobody_us_per_user": round(
            walk["seconds"] * 1e6 / users, 3)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin",
                        help="where the programs lie")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--users-beside", type=int, default=10_000_000,
                        help="of the table that a list of nobody reads")
    parser.add_argument("--seconds", type=float, default=6,
                        help="of each measurement beside a list")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    verdict = {}
    with contextlib.ExitStack() as stack:
        walks = Walks(arguments, stack)
        walks.database("walk", arguments.users)
        service = walks.serve("walk")
        verdict |= walks.beside_copy("walk", service, arguments.users)
        verdict |= walks.among_writers("walk", service, arguments.users)
        if arguments.users_beside:
            walks.database("beside", arguments.users_beside)
            service = walks.serve("beside")
            verdict |= walks.of_nobody(service, arguments.users_beside)
            verdict |= walks.beside_bots(service, arguments.users_beside)
        tell("verdict", verdict)
    if verdict["missing"] or verdict["not_in_order"]:
        sys.exit("the walk did not see everybody exactly once")


if __name__ == "__main__":
    main()
