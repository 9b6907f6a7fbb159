"""Run the fuzzer on several processes until enough distinct texts were read."""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from benchmarks.reliability.fuzzing.answers import write_answer
from benchmarks.reliability.fuzzing.checks import Case, check_cases
from benchmarks.reliability.fuzzing.formats import FORMATS
from benchmarks.reliability.fuzzing.mutations import mutate
from benchmarks.reliability.result import PartResult, Settings

from maniplvm.rewards import PRESETS
from maniplvm.tasks import Task

FULL_COUNT, QUICK_COUNT = 1_000_000, 3_000
"""Distinct texts of the full and of the short form."""

CHUNK_SIZE = 2_000
"""Texts that a process reads before it returns."""

CHUNK_LIMIT_S = 300.0
"""Time after which a chunk counts as hanging [s]. The normal time is about 2 s."""

MIN_PARSED_SHARE = 1 / 3
"""Least share of texts that one of the readings must parse."""

_MUTATED_SHARE = 0.55
_MAX_CHUNKS = 4


@dataclass
class Chunk:
    """Results of one process for `CHUNK_SIZE` texts.

    Attributes:
        digests: 64-bit digests of the distinct texts.
        parsed: Texts with a value, by format and whether they were mutated.
        tried: All texts, in the same way.
        failures: One line for each failed check, with the seed of the chunk and the text.
    """

    digests: list[int] = field(default_factory=list[int])
    parsed: Counter[tuple[str, bool]] = field(default_factory=Counter[tuple[str, bool]])
    tried: Counter[tuple[str, bool]] = field(default_factory=Counter[tuple[str, bool]])
    failures: list[str] = field(default_factory=list[str])


def run(settings: Settings) -> PartResult:
    """Read at least `FULL_COUNT` distinct texts, or `QUICK_COUNT`."""
    target = QUICK_COUNT if settings.quick else FULL_COUNT
    chunks = -(-target // CHUNK_SIZE)
    seeds = (f"{settings.seed}/{number}" for number in range(_MAX_CHUNKS * chunks + 1))
    seen, total, hanging = set[int](), Chunk(), list[str]()
    started = time.monotonic()
    for seed, chunk in _chunks(seeds, 1 if settings.quick else settings.jobs):
        if chunk is None:
            hanging.append(f"chunk {seed}: no result after {CHUNK_LIMIT_S:.0f} s")
            break
        seen.update(chunk.digests)
        total.parsed += chunk.parsed
        total.tried += chunk.tried
        total.failures += chunk.failures
        if len(seen) >= target:
            break
    return _result(total, len(seen), target, hanging, time.monotonic() - started)


def _chunks(seeds: Iterator[str], jobs: int) -> Iterator[tuple[str, Chunk | None]]:
    """The results of all seeds in order, or None for a chunk that hangs."""
    if jobs == 1:
        for seed in seeds:
            yield seed, run_chunk(seed)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        waiting = [
            (seed, pool.apply_async(run_chunk, (seed,)))
            for seed, _ in zip(seeds, range(2 * jobs), strict=False)
        ]
        while waiting:
            seed, result = waiting.pop(0)
            try:
                yield seed, result.get(CHUNK_LIMIT_S)
            except multiprocessing.TimeoutError:
                yield seed, None
                return
            following = next(seeds, None)
            if following is not None:
                waiting.append((following, pool.apply_async(run_chunk, (following,))))


def run_chunk(seed: str, size: int = CHUNK_SIZE) -> Chunk:
    """Write, mutate, read and score texts; the same seed gives the same texts."""
    random, chunk, cases, names = Random(seed), Chunk(), list[Case](), list[tuple[str, bool]]()  # noqa: S311
    seen = set[int]()
    while len(cases) < size:
        written = write_answer(random)
        mutated = random.random() < _MUTATED_SHARE
        text = mutate(written.text, random) if mutated else written.text
        digest = _digest(text)
        if digest in seen:
            continue
        seen.add(digest)
        tasks = (Task.AFFORDANCE, Task.TRAJECTORY)
        if written.format.task is Task.POINTING:
            tasks = (*tasks, Task.POINTING)
        cases.append(Case(text, written.frame, tasks, None if mutated else written))
        names.append((written.format.name, mutated))
    preset = random.choice(list(PRESETS))
    chunk.digests, chunk.tried = list(seen), Counter(names)
    for case, name, (parsed, failure) in zip(cases, names, check_cases(cases, preset), strict=True):
        chunk.parsed[name] += parsed
        if failure is not None:
            chunk.failures.append(f"seed {seed}, {name[0]}, {failure}: {case.text!r}")
    return chunk


def _digest(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _result(
    total: Chunk, distinct: int, target: int, hanging: list[str], seconds: float
) -> PartResult:
    texts = total.tried.total()
    share = total.parsed.total() / max(1, texts)
    failures = [*hanging, *total.failures]
    if distinct < target and not hanging:
        failures.append(f"only {distinct:,} of {target:,} distinct texts")
    if share < MIN_PARSED_SHARE:
        failures.append(f"only {share:.3f} of the texts were parsed")
    by_format = {
        each.name: {
            "texts": total.tried[each.name, False] + total.tried[each.name, True],
            "parsed_unchanged": _share(total, each.name, False),
            "parsed_mutated": _share(total, each.name, True),
        }
        for each in FORMATS
    }
    return PartResult(
        tried=texts,
        lost=len(failures),
        failures=failures,
        details={
            "distinct": distinct,
            "parsed_share": round(share, 4),
            "mutated_share": round(
                sum(n for (_, mutated), n in total.tried.items() if mutated) / max(1, texts), 4
            ),
            "texts_per_second": round(texts / seconds, 1),
            "by_format": by_format,
        },
    )


def _share(total: Chunk, name: str, mutated: bool) -> float:
    return round(total.parsed[name, mutated] / max(1, total.tried[name, mutated]), 4)
