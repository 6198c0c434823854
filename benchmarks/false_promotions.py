"""Share of exams that promote a reader which is no better, and of rounds that promote one which is.

    python benchmarks/false_promotions.py [--exams 1000] [--rounds 5] [--documents 1 2 3 5 8 12 20 50]

Simulated edits go through the rule itself (models/training/exam.py, flywheel/loop/decision.py); none are read.
Documents are of very unequal size and difficulty, and every reader has luck of its own with each, so that lines
of one err together. An exam has clean and degraded copies and `--rounds` candidates, one after the other, each
held against the champion that the rounds before left. Prints JSON:

    false_promotions    equal readers, exchangeable in every document: exams with any promotion in all rounds
    trade_offs          readers of equal CER in all, the candidate better in most documents and far worse in a few
    power               a single candidate that makes 10, 20 or 40 % fewer errors: promoted at the first look
    coverage            how often the shown 95 % intervals hold the rate that a million documents have
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from flywheel.figures import Comparison, DocumentEdits, Scores, Unit
from flywheel.loop.decision import Decision, decide
from models.resampling import interval
from models.training.exam import difference

Generator = np.random.Generator
Factors = Callable[[Generator, int], NDArray[np.float64]]  # of a reader's errors, by document

CER, DEGRADED_CER = 0.03, 0.08
LINES, SPREAD, MOST_LINES = 40, 1.0, 2000  # median of a document, sigma of its logarithm, cut there
CHARACTERS = (15, 70)  # of a line
DIFFICULTY = 1.0  # sigma of the logarithm of a document's difficulty: one in twenty is five times as hard
LUCK = 0.25  # standard deviation of a reader's own factor in a document
CONCENTRATION = 30.0  # of the beta that a line's rate is drawn from
GAINS = (0.1, 0.2, 0.4)
FEW_WORSE, LOSS = 0.15, 2.5  # trade-offs: in this share of documents so many times the errors


@dataclass(frozen=True)
class Exam:
    """Lines of an exam: their document, their characters and the factor by which it is harder than others."""

    documents: int
    document: NDArray[np.int64]
    characters: NDArray[np.int64]
    difficulty: NDArray[np.float64]

    def sum_by_document(self, values: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.bincount(self.document, weights=values, minlength=self.documents)


@dataclass(frozen=True)
class Read:
    """Edits of a reader by document, in clean and degraded copies."""

    clean: NDArray[np.float64]
    degraded: NDArray[np.float64]


def draw_exam(generator: Generator, documents: int) -> Exam:
    lines = np.clip(np.round(LINES * np.exp(generator.normal(0, SPREAD, documents))), 2, MOST_LINES).astype(int)
    document = np.repeat(np.arange(documents), lines)
    difficulty = np.exp(generator.normal(-(DIFFICULTY**2) / 2, DIFFICULTY, documents))
    return Exam(documents, document, generator.integers(*CHARACTERS, len(document)), difficulty)


def read(generator: Generator, exam: Exam, factors: NDArray[np.float64]) -> Read:
    """A reader's edits; its luck with a document is the same in both copies."""
    luck = generator.gamma(1 / LUCK**2, LUCK**2, exam.documents) * factors
    return Read(*(_edits(generator, exam, cer * exam.difficulty * luck) for cer in (CER, DEGRADED_CER)))


def _edits(generator: Generator, exam: Exam, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    rate = np.clip(rates, 1e-6, 0.95)[exam.document]
    drawn = generator.beta(rate * CONCENTRATION, (1 - rate) * CONCENTRATION)
    return exam.sum_by_document(generator.binomial(exam.characters, drawn))


def same(_: Generator, documents: int) -> NDArray[np.float64]:
    return np.ones(documents)


def better(gain: float) -> Factors:
    return lambda _, documents: np.full(documents, 1 - gain)


def traded(generator: Generator, documents: int) -> NDArray[np.float64]:
    """As many errors as others in the mean, but fewer in most documents."""
    many = (1 - FEW_WORSE * LOSS) / (1 - FEW_WORSE)
    return np.where(generator.random(documents) < FEW_WORSE, LOSS, many)


def decided(exam: Exam, candidate: Read, champion: Read, looks: int) -> Decision:
    sizes = exam.sum_by_document(exam.characters)
    clean = (candidate.clean, champion.clean)
    degraded = (candidate.degraded, champion.degraded)
    columns = zip(sizes, *clean, *degraded, strict=True)
    compared = Comparison(
        Unit.LINE,
        scores(candidate.clean, sizes),
        scores(champion.clean, sizes),
        difference(clean[0] + degraded[0], clean[1] + degraded[1], 2 * sizes),
        "champion",
        "champion",
        clean=difference(*clean, sizes),
        degraded=difference(*degraded, sizes),
        by_document=tuple(DocumentEdits(str(n), *map(int, row)) for n, row in enumerate(columns)),
    )
    return decide(compared, champion="champion", looks=looks)


def scores(edits: NDArray[np.float64], sizes: NDArray[np.float64]) -> Scores:
    cer = float(edits.sum() / sizes.sum())
    return Scores(cer, cer, None, None, len(edits), int(sizes.sum()), int(edits.sum()))


def promotions(seed: int, *, documents: int, rounds: int, factors: Factors) -> int:
    """Promotions in all rounds on one exam."""
    generator = np.random.default_rng((documents, seed))
    exam = draw_exam(generator, documents)
    champion, looks, promoted = read(generator, exam, np.ones(documents)), 0, 0
    for _ in range(rounds):
        candidate = read(generator, exam, factors(generator, documents))
        found = decided(exam, candidate, champion, looks)
        looks += found.look is not None
        if found.promote:
            champion, promoted = candidate, promoted + 1
    return promoted


def held(seed: int, *, documents: int, rate: float) -> tuple[int, int, int]:
    """The number of intervals that hold the true rate, the true difference of equal readers, and of intervals."""
    generator = np.random.default_rng((documents, seed))
    exam = draw_exam(generator, documents)
    sizes = exam.sum_by_document(exam.characters)
    one, other = (read(generator, exam, np.ones(documents)).clean for _ in range(2))
    rates, gaps = interval(one, sizes), interval(one - other, sizes)
    if rates is None or gaps is None:
        return 0, 0, 0
    return rates[0] <= rate <= rates[1], gaps[0] <= 0 <= gaps[1], 1


def true_rate() -> float:
    generator = np.random.default_rng(0)
    exams = [draw_exam(generator, 20_000) for _ in range(10)]
    edits = sum(read(generator, exam, np.ones(exam.documents)).clean.sum() for exam in exams)
    return float(edits / sum(exam.characters.sum() for exam in exams))


def shares(pool: ProcessPoolExecutor, exams: int, documents: int, rounds: int, factors: str) -> dict[str, float]:
    run = partial(_promotions, documents=documents, rounds=rounds, factors=factors)
    found = np.array(list(pool.map(run, range(exams), chunksize=20)))
    share = float(np.mean(found > 0))
    return {"share": round(share, 4), "error": round(1.96 * math.sqrt(share * (1 - share) / exams), 4)}


def _promotions(seed: int, *, documents: int, rounds: int, factors: str) -> int:
    chosen = {"same": same, "traded": traded}.get(factors) or better(float(factors))
    return promotions(seed, documents=documents, rounds=rounds, factors=chosen)


def coverage(pool: ProcessPoolExecutor, exams: int, documents: int, rate: float) -> dict[str, float] | None:
    found = np.array(list(pool.map(partial(held, documents=documents, rate=rate), range(exams), chunksize=20)))
    rates, gaps, all_ = found.sum(axis=0)
    return {"cer": round(float(rates / all_), 3), "difference": round(float(gaps / all_), 3)} if all_ else None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exams", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5, help="candidates one after the other on one exam")
    parser.add_argument("--documents", type=int, nargs="+", default=[1, 2, 3, 5, 8, 12, 20, 50])
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments)
    rate, out = true_rate(), {}
    with ProcessPoolExecutor(given.processes) as pool:
        for documents in given.documents:
            measured = partial(shares, pool, given.exams, documents)
            out[str(documents)] = {
                "false_promotions": measured(given.rounds, "same"),
                "trade_offs": measured(given.rounds, "traded"),
                "power": {f"{gain:.0%}": measured(1, str(gain)) for gain in GAINS},
                "coverage": coverage(pool, given.exams, documents, rate),
            }
            print(f"{documents} documents: {out[str(documents)]}", file=sys.stderr, flush=True)
    print(json.dumps({"exams": given.exams, "rounds": given.rounds, "by_documents": out}, indent=2))


if __name__ == "__main__":
    main()
