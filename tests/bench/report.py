"""Makes tables and charts of what measure.py measured.

    report.py RESULTS.jsonl FOLDER

Writes FOLDER/tables.md and FOLDER/*.svg. Each figure is the median of its
rounds; each ratio is made of medians of one run.
"""

import json
import statistics
import subprocess
import sys

MIX = "upsert=70,get=25,onboard=5"
NAMES = {"check": "empty call", "get": "GetProfile", "upsert": "UpsertUser",
         MIX: "70 % upserts, 25 % reads, 5 % onboarding"}

# Beside light and dark pages. A method has one colour and one mark in all charts;
# what it is compared with has its colour, and dashes.
STYLE = """set terminal svg size 720,400 font "sans-serif,13" background "#ffffff"
set grid lc rgb "#dddddd"
set border 3 lc rgb "#555555"
set tics nomirror
set key outside right center samplen 3 spacing 1.3
"""
LINES = {"check": 'lc rgb "#777777" lw 2 pt 5 ps 0.5',
         "get": 'lc rgb "#0072b2" lw 2 pt 7 ps 0.5',
         "upsert": 'lc rgb "#d55e00" lw 2 pt 9 ps 0.6'}
DASHES = " dt 2"


class Results:
    def __init__(self, path):
        with open(path, encoding="ascii") as file:
            self.lines = [json.loads(line) for line in file]

    def select(self, what, **labels):
        return [line for line in self.lines if line["what"] == what and
                all(line.get(k) == v for k, v in labels.items())]

    def median(self, what, figure, **labels):
        lines = self.select(what, **labels)
        return statistics.median(line[figure] for line in lines)

    def series(self, what, by, figure, **labels):
        keys = sorted({line[by] for line in self.select(what, **labels)})
        return [(key, self.median(what, figure, **labels, **{by: key}))
                for key in keys]


def targets(r):
    """Name, value, unit, the least that is good enough, and the aim."""
    def rate(what, mix):
        return r.median(what, "per_second", mix=mix)

    def cpu(what, process, mix):
        return r.median(what, process + "_cpu_us", mix=mix)

    service, pgbench = "service", "pgbench"
    unbatched = max(rate(what, "upsert")
                    for what in {line["what"] for line in r.lines}
                    if what.startswith("batch size 1"))
    lone = (r.median("alone", "p50_us", mix="get") -
            r.median("alone", "p50_us", mix="check") -
            r.median("pgbench alone", "p50_us", mix="get"))
    sizes = [line["users"] for line in r.select("table size")]

    def scaling(mix):
        return (r.median("table size", "per_second", mix=mix,
                         users=max(sizes)) /
                r.median("table size", "per_second", mix=mix,
                         users=min(sizes)))

    def by_batches(mix):
        return (r.median("batches", "per_second", mix=mix, size=100) /
                r.median("batches", "per_second", mix=mix, size=1))

    grown = f"at {max(sizes):,} rows / at {min(sizes):,} rows, per second"
    return [
        ("GetProfile / empty call, per second",
         rate(service, "get") / rate(service, "check"), "", ">=", 0.70, 0.85),
        ("UpsertUser / pgbench upsert, per second",
         rate(service, "upsert") / rate(pgbench, "upsert"), "", ">=", 2, 3),
        ("UpsertUser / batch size 1, per second",
         rate(service, "upsert") / unbatched, "", ">=", 2.5, 4),
        ("BatchGetProfiles of 100 / GetProfile, users per second",
         by_batches("get"), "", ">=", 4, 6),
        ("BatchUpsertUsers of 100 / UpsertUser, users per second",
         by_batches("upsert"), "", ">=", 1.8, 2.5),
        ("PostgreSQL CPU per GetProfile / per pgbench read",
         cpu(service, "postgres", "get") / cpu(pgbench, "postgres", "get"),
         "", "<=", 0.40, 0.25),
        ("PostgreSQL CPU per UpsertUser / per pgbench upsert",
         cpu(service, "postgres", "upsert") /
         cpu(pgbench, "postgres", "upsert"), "", "<=", 0.25, 0.12),
        ("server CPU per GetProfile / per empty call",
         cpu(service, "server", "get") / cpu(service, "server", "check"),
         "", "<=", 2.5, 1.7),
        ("p50 of a lone GetProfile - empty call - pgbench with one client",
         lone, " us", "<=", 150, 60),
        ("GetProfile " + grown, scaling("get"), "", ">=", 0.80, 0.95),
        ("UpsertUser " + grown, scaling("upsert"), "", ">=", 0.80, 0.95),
        ("resident memory, idle", r.median("start", "resident_mib"), " MiB",
         "<=", 64, 32),
        ("resident memory at 2,000 in flight",
         max(line["server_resident_mib"] for line in r.select("memory")),
         " MiB", "<=", 128, 64),
        ("start to SERVING on a migrated database",
         r.median("start", "start_ms"), " ms", "<=", 500, 100),
        ("mixed load / pgbench doing the same mix, per second",
         rate(service, MIX) / rate(pgbench, MIX), "", ">=", 1.5, 2),
    ]


def number(value):
    return f"{value:.2f}" if abs(value) < 10 else f"{value:,.0f}"


def tables(r):
    yield "| what | measured | at least | aim | met |"
    yield "|---|---|---|---|---|"
    for name, value, unit, relation, least, aim in targets(r):
        good = value >= least if relation == ">=" else value <= least
        great = value >= aim if relation == ">=" else value <= aim
        sign = "" if relation == ">=" else "at most "
        met = "the aim" if great else "yes" if good else "**no**"
        yield (f"| {name} | {number(value)}{unit} | {sign}{least}{unit} | "
               f"{aim}{unit} | {met} |")
    yield ""
    yield ("| one run, in turns | per second | p50 us | p99 us | server CPU us "
           "| PostgreSQL CPU us |")
    yield "|---|---|---|---|---|---|"
    measured = []
    for line in r.lines:
        key = (line["what"], line.get("mix"))
        in_turns = key[0] in ("service", "pgbench") or \
            key[0].startswith("batch size 1")
        if in_turns and key not in measured:
            measured.append(key)
    for what, mix in measured:
        cells = [f"{what}: {NAMES[mix]}"]
        for figure in ("per_second", "p50_us", "p99_us", "server_cpu_us",
                       "postgres_cpu_us"):
            known = figure in r.select(what, mix=mix)[0]
            cells.append(number(r.median(what, figure, mix=mix))
                         if known else "")
        yield "| " + " | ".join(cells) + " |"
    yield ""
    yield "| calls due at even intervals | a second | p50 us | p99 us |"
    yield "|---|---|---|---|"
    for line in r.select("open loop"):
        yield (f"| {NAMES[line['mix']]}, {line['share']:.0%} of the peak | "
               f"{line['rate']:,} | {line['p50_us']:,} | {line['p99_us']:,} |")


def plot(folder, name, title, x, y, series, log_x=2, log_y=False):
    """One chart; `series` are (title, line, [(x, y), ...])."""
    script = [STYLE, f'set output "{folder}/{name}.svg"',
              f'set title "{title}"', f'set xlabel "{x}"', f'set ylabel "{y}"',
              f"set logscale x {log_x}",
              "set logscale y" if log_y else "set yrange [0:*]"]
    if log_x == 10:
        script.append('set format x "%.0s%c"')
    for i, (_, _, points) in enumerate(series):
        script += [f"$d{i} << EOD", *(f"{px} {py}" for px, py in points), "EOD"]
    script.append("plot " + ", ".join(
        f'$d{i} with linespoints {line} title "{label}"'
        for i, (label, line, _) in enumerate(series)))
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True,
                   check=True)


def charts(r, folder):
    def series(mix, what, by, figure):
        return NAMES[mix], LINES[mix], r.series(what, by, figure, mix=mix)

    plot(folder, "throughput", "Throughput", "calls in flight",
         "calls per second",
         [series(mix, "in flight", "in_flight", "per_second")
          for mix in ("check", "get", "upsert")])
    plot(folder, "latency", "Latency", "calls in flight", "milliseconds",
         [(f"{NAMES[mix]}, {name}", LINES[mix] + dashes,
           [(x, y / 1000) for x, y in
            r.series("in flight", "in_flight", figure, mix=mix)])
          for mix in ("get", "upsert")
          for name, figure, dashes in (("median", "p50_us", ""),
                                       ("99 %", "p99_us", DASHES))],
         log_y=True)
    plot(folder, "batch_size", "Throughput by largest batch",
         "requests that may share a statement", "calls per second",
         [series(mix, "batch size", "max_batch", "per_second")
          for mix in ("get", "upsert")])
    plot(folder, "postgres_cpu", "PostgreSQL's CPU time",
         "requests that may share a statement", "microseconds per request",
         [line for mix in ("get", "upsert") for line in (
             series(mix, "batch size", "max_batch", "postgres_cpu_us"),
             (f"{NAMES[mix]}, pgbench", LINES[mix] + DASHES,
              [(size, r.median("pgbench", "postgres_cpu_us", mix=mix))
               for size in (1, 256)]))])
    plot(folder, "table_size", "Throughput by table size", "rows",
         "calls per second",
         [series(mix, "table size", "users", "per_second")
          for mix in ("get", "upsert")], log_x=10)


def main():
    results, folder = Results(sys.argv[1]), sys.argv[2]
    text = "\n".join(tables(results)) + "\n"
    with open(folder + "/tables.md", "w", encoding="utf-8") as file:
        file.write(text)
    charts(results, folder)
    print(text)


if __name__ == "__main__":
    main()
