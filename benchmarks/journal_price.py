#!/usr/bin/env python3
"""What the journal costs in output tokens per second: two clusters of the demo model, with and
without one, loaded in turn by the same requests. Prints each round and the median of the ratios.

benchmarks/journal_price.py [--rounds 9] [--clients 16] [--fsync]
"""

import argparse
import statistics

from running_cluster import RunningCluster, processor


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--fsync", action="store_true", help="sync every record")
    options = parser.parse_args()
    load = ["--concurrency", str(options.clients), "--requests", str(16 * options.clients)]
    load += ["--input-len", "64", "--output-len", "128"]
    with (
        RunningCluster("--journal", "on", *(["--fsync"] if options.fsync else [])) as journaled,
        RunningCluster("--journal", "off") as plain,
    ):
        for cluster in (journaled, plain):
            cluster.bench(*load)  # warm up
        ratios = []
        for round_number in range(options.rounds):
            pair = {}
            order = (journaled, plain) if round_number % 2 == 0 else (plain, journaled)
            for cluster in order:
                figures = cluster.bench(*load)
                assert figures["failed"] == 0, figures
                pair[cluster] = figures["output_tokens_per_second"]
            ratios.append(pair[journaled] / pair[plain])
            print(
                f"round {round_number + 1}: {pair[journaled]:.0f} tokens/s with the journal, "
                f"{pair[plain]:.0f} without: {ratios[-1]:.3f}",
                flush=True,
            )
    print(
        f"{options.clients} clients, {processor()}: median ratio {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )


if __name__ == "__main__":
    main()
