"""What a search for near-duplicate texts costs: 100,000 rows and 1,000,000, in one process.

    python scripts/bench_data_duplicates.py [ROWS…]

Texts of fifteen words drawn from five thousand; one in a hundred is another with one word changed.
CPU seconds of signing (once a shard, for ever) and of pairing (all rows, each time there are new
ones), and datasketch's MinHash and MinHashLSH over the first thousand of the same rows.
"""

import resource
import sys
import time

import numpy as np
import pyarrow as pa

from raypipe.values.minhash import PERMUTATIONS, near_pairs, text_signatures

SIMILARITY = 0.7


def texts(rows: int) -> pa.Array:
    rng = np.random.default_rng(0)
    words = np.array([f"w{rng.integers(1 << 20):x}" for _ in range(5_000)])
    drawn = rng.integers(0, len(words), (rows, 15))
    again = np.flatnonzero(rng.random(rows) < 0.01)[1:]
    drawn[again] = drawn[rng.integers(0, again)]
    drawn[again, rng.integers(0, 15, len(again))] = rng.integers(0, len(words), len(again))
    return pa.array([" ".join(words[row]) for row in drawn])


def theirs(given: pa.Array) -> float:
    from datasketch import MinHash, MinHashLSH

    began = time.process_time()
    lsh = MinHashLSH(threshold=SIMILARITY, num_perm=PERMUTATIONS)
    for number, text in enumerate(given.to_pylist()):
        signed = MinHash(num_perm=PERMUTATIONS)
        signed.update_batch([text[n : n + 6].encode() for n in range(max(1, len(text) - 5))])
        lsh.query(signed)
        lsh.insert(number, signed)
    return (time.process_time() - began) / len(given)


def main() -> None:
    for rows in map(int, sys.argv[1:] or ("100000", "1000000")):
        given = texts(rows)
        began = time.process_time()
        signed = text_signatures(given)
        signing = time.process_time() - began
        pairs = near_pairs(signed, SIMILARITY)
        pairing = time.process_time() - began - signing
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{rows:>9,} rows: signing {signing:6.2f} s, pairing {pairing:5.2f} s CPU, "
            f"{1e6 * (signing + pairing) / rows:.1f} µs a row; {len(pairs):,} pairs; "
            f"{memory:,.0f} MiB at most"
        )
    print(f"datasketch: {1e6 * theirs(texts(1_000)):.0f} µs a row")


if __name__ == "__main__":
    main()
