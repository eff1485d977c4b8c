#!/usr/bin/env python3
"""PyTorch on the shapes of benchmarks/cuda_bench_ops.cc: a JSON line per shape; exit 77 without it.

Sets of inputs take turns and together exceed L2 twice; times are medians over CUDA events.
"""

import json
import sys

ROUNDS = 20
LEAST_US = 300
ROWS = (1, 8, 32, 128, 512, 8192)
MATRICES = (
    ("qkv", 6144, 4096, ROWS),
    ("out", 4096, 4096, ROWS),
    ("gate_up", 28672, 4096, ROWS),
    ("down", 4096, 14336, ROWS),
    ("head", 128256, 4096, (1, 32, 128)),
)
DECODES = ((1, 1024), (1, 16384), (8, 1024), (8, 4096), (8, 16384), (32, 2048), (128, 2048))
PREFILLS = ((8, 512), (1, 2048), (1, 8192))


def measure(torch, call, num_sets):
    """The median time of call(set) in microseconds."""
    for turn in range(num_sets):
        call(turn)
    torch.cuda.synchronize()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    times = []
    turns = num_sets
    for _ in range(ROUNDS):
        begin.record()
        for turn in range(turns):
            call(turn % num_sets)
        end.record()
        torch.cuda.synchronize()
        times.append(1000 * begin.elapsed_time(end) / turns)
        if times[-1] * turns < LEAST_US:
            turns = min(100, turns * 2)
    return sorted(times)[len(times) // 2]


def tell(op, shape, us):
    print(json.dumps({"op": op, "shape": shape, "us_median": us}), flush=True)


def sets_past(cache_bytes, size_bytes):
    return max(1, min(16, 1 + int(2 * cache_bytes / size_bytes)))


def matmuls(torch, cache_bytes):
    for name, n, k, all_rows in MATRICES:
        num_sets = sets_past(cache_bytes, 2 * n * k)
        weights = [torch.randn(n, k, device="cuda", dtype=torch.bfloat16) for _ in range(num_sets)]
        for rows in all_rows:
            x = torch.randn(rows, k, device="cuda", dtype=torch.bfloat16)
            us = measure(torch, lambda i: torch.matmul(x, weights[i].t()), num_sets)
            tell("matmul", f"{name} {rows}x{n}x{k}", us)
        del weights


def attentions(torch, cache_bytes):
    attend = torch.nn.functional.scaled_dot_product_attention

    def tensors(batch, heads, length, num_sets):
        shape = (batch, heads, length, 128)
        return [
            torch.randn(shape, device="cuda", dtype=torch.bfloat16) for _ in range(num_sets)
        ]

    for op, cases, is_causal in (("decode", DECODES, False), ("prefill", PREFILLS, True)):
        for batch, length in cases:
            num_sets = sets_past(cache_bytes, 2 * batch * 8 * length * 128 * 2)
            q = tensors(batch, 32, 1 if op == "decode" else length, 1)[0]
            keys, values = (tensors(batch, 8, length, num_sets) for _ in range(2))
            us = measure(
                torch,
                lambda i: attend(q, keys[i], values[i], is_causal=is_causal, enable_gqa=True),
                num_sets,
            )
            tell(f"sdpa_{op}", f"{batch}x{length} heads 32/8 of 128", us)


def main():
    try:
        import torch
    except ImportError:
        print("skipped: there is no PyTorch here", file=sys.stderr)
        return 77
    if not torch.cuda.is_available():
        print("skipped: PyTorch sees no GPU", file=sys.stderr)
        return 77
    torch.manual_seed(1)
    cache_bytes = torch.cuda.get_device_properties(0).L2_cache_size
    with torch.no_grad():
        matmuls(torch, cache_bytes)
        attentions(torch, cache_bytes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
