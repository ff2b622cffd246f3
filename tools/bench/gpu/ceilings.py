"""What the GPU can do at most, measured in the same run as everything beside it."""
import statistics
import sys
import time

import torch
import triton
import triton.language as tl


def median_ms(work, runs=20, warmup=5):
    """Median, minimum and maximum milliseconds of `work` by device events. As ingot-run bench, it warms up for a fifth of
    a second at least: the clocks of a GPU that was idle take so long to rise."""
    begin = time.monotonic()
    while warmup > 0 or time.monotonic() - begin < 0.2:
        work()
        torch.cuda.synchronize()
        warmup -= 1
    times = []
    for _ in range(runs):
        begin = torch.cuda.Event(enable_timing=True)
        end = torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times), min(times), max(times)


@triton.jit
def _read(source, sink, count, step: tl.constexpr):
    # Each program reads every `programs`-th chunk; the sum keeps the loads alive.
    total = tl.zeros((step,), tl.float32)
    programs = tl.num_programs(0)
    for chunk in range(tl.program_id(0), count // step, programs):
        total += tl.load(source + chunk * step + tl.arange(0, step))
    tl.store(sink + tl.program_id(0) * step + tl.arange(0, step), total)


def read_rate(gigabytes=4):
    """Bytes per second of reading device memory."""
    count = int(gigabytes * 2**30) // 4
    source = torch.randn(count, device="cuda")
    step, programs = 4096, torch.cuda.get_device_properties(0).multi_processor_count * 4
    sink = torch.empty(programs * step, device="cuda")
    ms, _, _ = median_ms(lambda: _read[(programs,)](source, sink, count, step=step, num_warps=8))
    return count * 4 / ms * 1e3


def gemm_rate(dtype, size=8192):
    """Operations per second of the vendor library's matmul on random data."""
    a = torch.randn(size, size, device="cuda", dtype=dtype)
    b = torch.randn(size, size, device="cuda", dtype=dtype)
    ms, _, _ = median_ms(lambda: a @ b)
    return 2 * size**3 / ms * 1e3


def upload_rate(gigabytes=1):
    """Bytes per second from pinned host memory."""
    host = torch.empty(int(gigabytes * 2**30), dtype=torch.uint8, pin_memory=True)
    device = torch.empty_like(host, device="cuda")
    ms, _, _ = median_ms(lambda: device.copy_(host, non_blocking=True), runs=5, warmup=1)
    return host.numel() / ms * 1e3


def fp8_rate(size=8192):
    """Operations per second of the vendor library's fp8 (e4m3) matmul with scales of one."""
    a, b = (torch.randn(size, size, device="cuda").to(torch.float8_e4m3fn) for _ in range(2))
    one = torch.ones((), device="cuda")
    ms, _, _ = median_ms(lambda: torch._scaled_mm(a, b.t(), one, one, out_dtype=torch.bfloat16))
    return 2 * size**3 / ms * 1e3


def rates():
    """All of them; fp8 where the GPU and the library have it."""
    result = {"read": read_rate(), "gemm": gemm_rate(torch.bfloat16), "upload": upload_rate()}
    if torch.cuda.get_device_capability() >= (8, 9):
        try:
            result["fp8"] = fp8_rate()
        except (RuntimeError, AttributeError) as error:
            print(f"no fp8 rate: {error}", file=sys.stderr)
    torch.cuda.empty_cache()
    return result
