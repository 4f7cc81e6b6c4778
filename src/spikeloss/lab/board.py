"""Curves for TensorBoard: a folder per run, scalars per epoch, and the final ones."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spikeloss._install import hint

from .errors import InputError
from .files import place, slug
from .runs import Epoch, Run

OPTION = "--tensorboard"
FINAL = (
    "accuracy", "abstained", "firing_rate", "hidden_rate", "spikes_per_sample", "decision_step",
    "right_step", "seconds_per_epoch", "objective_share",
)  # fmt: skip


@dataclass(frozen=True)
class Board:
    """Writes what it is told of runs into folder/objective/seed-N; nothing where folder is None."""

    folder: Path | None
    writers: dict[tuple[str, int], Any] = field(default_factory=dict)
    epochs: dict[tuple[str, int], int] = field(default_factory=dict)

    def epoch(self, objective: str, seed: int, epoch: Epoch) -> None:
        """A further epoch of a run: `epoch/loss` and `epoch/accuracy`."""
        if self.folder is None:
            return
        run = objective, seed
        number = self.epochs[run] = self.epochs.get(run, 0) + 1
        writer = self._writer(*run)
        writer.add_scalar("epoch/loss", epoch.loss, number)
        if epoch.accuracy is not None:
            writer.add_scalar("epoch/accuracy", epoch.accuracy, number)

    def final(self, runs: Iterable[Run]) -> None:
        """What runs report in the end: `final/NAME`, of runs that were told of."""
        for run in runs:
            if (run.objective, run.seed) not in self.writers:
                continue
            writer = self._writer(run.objective, run.seed)
            for name in FINAL:
                if (number := getattr(run, name)) is not None:
                    writer.add_scalar(f"final/{name}", number, len(run.curve))

    def _writer(self, objective: str, seed: int) -> Any:
        if (objective, seed) not in self.writers:
            from torch.utils.tensorboard import SummaryWriter

            assert self.folder is not None
            where = self.folder / slug(objective) / f"seed-{seed}"
            with place(where, OPTION):
                self.writers[objective, seed] = SummaryWriter(where)
        return self.writers[objective, seed]


@contextmanager
def board(folder: Path | None) -> Iterator[Board]:
    """A board, whose files are closed on the way out."""
    if folder is not None and find_spec("tensorboard") is None:
        fix = hint("tensorboard")
        raise InputError(OPTION, "the package tensorboard", "no tensorboard", fix)
    if folder is not None:  # rather now than after an epoch
        with place(folder, OPTION):
            folder.mkdir(parents=True, exist_ok=True)
    made = Board(folder)
    try:
        yield made
    finally:
        for writer in made.writers.values():
            writer.close()
