"""Checks the activations of every program in a plan: `ingot compile MODEL --stop-after plan --json` on stdin.

    check_activations.py MIB

The peak is counted here once more from the IR, buffer by buffer, and has to be what the compiler reports.
"""
import json
import re
import sys

BUFFER = re.compile(r"(%\w+) = exec\.buffer on @\w+ \{bytes = (\d+) : i64, offset = (\d+) : i64\}")


def peak(lines):
    """Most bytes of the arena that hold neither input nor output, at a launch."""
    buffers, views, uses, outputs, in_place = {}, {}, {}, set(), []
    for step, line in enumerate(lines):
        if match := BUFFER.search(line):
            buffers[match[1]] = (int(match[3]), int(match[2]))
        elif match := re.search(r"(%\w+) = exec\.view (%\w+)", line):
            views[match[1]] = match[2]
        elif "exec.output" in line or "exec.launch" in line or "exec.copy" in line or "exec.read_size" in line:
            # Values stand before the colons, types behind them.
            names = re.findall(r"%\w+", re.sub(r" : [^)]*", "", line))
            for name in names:
                while name in views:
                    name = views[name]
                uses.setdefault(name, []).append(step)
                if "exec.output" in line:
                    outputs.add(name)
    # An output that was written over a buffer in its place: that one's bytes are the output's.
    for name, (offset, size) in buffers.items():
        if any(buffers.get(out) == (offset, size) and max(uses.get(name, [-1])) == min(uses[out])
               for out in outputs if out in buffers):
            in_place.append(name)
    most = 0
    for step in range(len(lines)):
        live = sorted((offset, offset + size) for name, (offset, size) in buffers.items()
                      if name in uses and name not in outputs and name not in in_place
                      and min(uses[name]) <= step <= max(uses[name]))
        total = end = 0
        for first, last in live:
            total += max(0, last - max(first, end))
            end = max(end, last)
        most = max(most, total)
    return most


def main():
    limit = float(sys.argv[1])
    plan = json.load(sys.stdin)
    bodies = dict(re.findall(r"exec\.program @(\w+) (.*?)\n  \}\n", plan["ir"], re.S))
    if not plan["programs"] or set(bodies) != {program["name"] for program in plan["programs"]}:
        sys.exit(f"programs {sorted(bodies)}")
    for program in plan["programs"]:
        counted = peak(bodies[program["name"]].splitlines())
        # The few bytes that a size is read from live on while kernels may read it there.
        if not 0 <= program["activation_bytes"] - counted <= 4096:
            sys.exit(f"program {program['name']}: {program['activation_bytes']} bytes reported, {counted} counted")
        mebibytes = counted / 2**20
        text = f"program {program['name']}: {mebibytes:.1f} MiB of activations"
        if mebibytes > limit:
            sys.exit(f"{text}, at most {limit:g}")
        print(text)


if __name__ == "__main__":
    main()
