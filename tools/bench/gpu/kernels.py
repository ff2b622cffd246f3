"""Single kernels of ingots beside cuBLASLt and cuDNN (through PyTorch) in one process: the compiler's own launches,
random operands, in turn, each compared before it is timed."""
import os
import time

import kernel_cases
import plan
import report
import tables

LIMIT = 2e-2       # of the relative error by norms: 16-bit results of 16-bit operands; NaN never passes
GRAPH_SECONDS = 2e-3  # what a graph of launches takes at least, by the floor
MOST_SETS, MOST_LAUNCHES = 256, 512


def batches(options):
    return [batch for batch in kernel_cases.BATCHES if batch.model in options.models]


def compile_all(options):
    """Writes an ingot of one layer for each model and number of tokens; needs no GPU."""
    ingot = os.path.join(options.bin, "ingot")
    report.need_program(ingot, "--bin")
    for batch in {batch.file(options.out): batch for batch in batches(options)}.values():
        folder, file = kernel_cases.write_folder(batch.model, options.out), batch.file(options.out)
        report.call([ingot, "compile", folder, "-o", file, "--weights", "none", "--target", options.target,
                     *batch.flags()], f"{file}: ingot compile")
        print(file, flush=True)


def all_cases(options):
    """The cases that --only leaves, those that say most first."""
    plans, cases = {}, []
    report.need_program(options.ingot_run, "--ingot-run")
    for batch in batches(options):
        file = batch.file(options.out)
        if not os.path.exists(file):
            raise report.Failure(f"{file} is missing; make it with: gpu_bench.py kernels --compile --out {options.out} "
                                 "(on any machine with an NVRTC)", 2)
        if file not in plans:
            plans[file] = plan.read(options.ingot_run, file)
        cases += kernel_cases.cases(batch, plans[file])
    unique = {case.name: case for case in reversed(cases) if report.selected(options, case.name)}
    if not unique:
        raise report.Failure(f"--only {options.only!r} leaves no case; --list shows all", 2)
    return list(reversed(unique.values()))


def show_cases(options):
    for case in all_cases(options):
        print(f"{case.name:66} {case.launch.kernel['description']}")


def in_turn(works, rounds, rest):
    """{name: times} of graphs, one after the other in each round. In front of each the GPU rests and runs it once
    without a clock, so that none begins hotter, or colder, than the others."""
    import torch
    times = {name: [] for name in works}
    for _ in range(rounds):
        for name, (graph, launches) in works.items():
            time.sleep(rest)
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            graph.replay()
            begin.record()
            graph.replay()
            end.record()
            end.synchronize()
            times[name].append(begin.elapsed_time(end) / launches)
    return {name: report.times(values) for name, values in times.items()}


def record(work, launches):
    """A graph of that many calls of `work`, with the number of each."""
    import torch
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # what is made at the first call is not recorded
        work(0)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(launches):
            work(i)
    return graph


def measure(case, driver, rates, options):
    """What a report has of a case, and why its peer failed."""
    import launcher
    import operands
    import torch
    work = operands.make(case)
    floor = max(work.flops / rates["gemm"], work.bytes / rates["read"])
    l2 = torch.cuda.get_device_properties(0).L2_cache_size
    # Buffers that together are larger than L2, in turn.
    count = min(MOST_SETS, -(-3 * l2 // work.bytes))
    sets = [work.draw(seed) for seed in range(count)]
    launches = min(MOST_LAUNCHES, -(-max(count, int(GRAPH_SECONDS / floor) + 1) // count) * count)
    launch = case.launch
    kernel = launcher.Kernel(driver, launch)
    grid, sizes = plan.sizes(launch.grid, case.values), plan.sizes(launch.sizes, case.values)
    prepared = [kernel.prepare(grid, [t.data_ptr() for t in tensors], sizes) for tensors in sets]

    def ours(i):
        prepared[i % count](torch.cuda.current_stream().cuda_stream)

    ours(0)
    torch.cuda.synchronize()
    expected = work.reference(sets[0])
    error = float((work.output(sets[0]).view(expected.shape).float() - expected).norm() / expected.norm())
    if not error <= LIMIT:
        raise RuntimeError(f"relative error {error:.3g} against PyTorch, expected at most {LIMIT}")
    del expected
    result = {"flops": work.flops, "bytes": work.bytes, "floor_ms": floor * 1e3, "error": error,
              "launches": launches, "sets": count}
    graphs = {"ingot": (record(ours, launches), launches)}
    failure = None
    try:
        peer = work.peer(sets)
        graphs[work.PEER] = (record(lambda i: peer(i % count), launches), launches)
    except Exception as error:  # a peer that fails is reported, and the rest measured
        torch.cuda.synchronize()
        failure = report.failure_text(error)
    measured = in_turn(graphs, options.rounds, options.rest)
    result.update(ingot_ms=measured.pop("ingot"), peers_ms=measured)
    return result, failure


def is_alive():
    import torch
    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except RuntimeError:
        return False
    return True


def run(options):
    import ceilings
    import launcher
    import torch
    cases = all_cases(options)
    capability = torch.cuda.get_device_capability()
    for arch in {case.arch for case in cases}:
        if not plan.fits(arch, capability):
            raise report.Failure(f"the ingots in {options.out} are for {arch}, the GPU is of compute capability "
                                 f"{capability[0]}.{capability[1]}; compile them with --target for it", 7)
    began = time.monotonic()
    out = report.Report("kernels", options.json, report.machine())
    with torch.inference_mode():
        torch.backends.cuda.preferred_blas_library("cublaslt")
        rates = out.data["rates"] = ceilings.rates()
        print(tables.heading(out.data))
        print(tables.KERNEL_TITLE)
        driver = launcher.open_driver()
        for i, case in enumerate(cases):
            if options.seconds and time.monotonic() - began > options.seconds:
                out.data["left_out"] = [left.name for left in cases[i:]]
                print(f"{options.seconds} s are over: {len(cases) - i} of {len(cases)} cases left out")
                break
            try:
                result, peer_failure = measure(case, driver, rates, options)
                torch.cuda.empty_cache()
            except Exception as failure:
                out.fail(case.name, failure)
                if not is_alive():
                    out.fail("all cases behind it", "a kernel failed on the GPU, and nothing runs in this process any "
                             "more; go on with --only")
                    break
                continue
            if peer_failure:
                out.fail(f"{case.name}, peer", peer_failure)
            out.add({"model": case.batch.model, "case": case.name[len(case.batch.model) + 1:],
                     "family": case.launch.family, "kernel": case.launch.kernel["description"], **result})
            print(tables.kernel_line(case.name, result), flush=True)
    print("\n".join(tables.kernel_summary(out.data)), flush=True)
    return out.end()
