"""The workbench as functions: what the commands do, with values for results."""

from collections.abc import Callable, Sequence
from pathlib import Path

from .checks import check, chosen
from .crew import Watch, hired
from .objectives import defaults
from .publishing import publish, publish_runs
from .recipe import Comparison, Recipe
from .runs import Epoch, Run
from .store import Folder
from .training import fit


def train(
    recipe: Recipe,
    objective: str,
    seed: int = 0,
    *,
    checkpoint: str | Path | None = None,
    watch: Callable[[Epoch], None] = lambda epoch: None,
) -> Run:
    """Train a network with an objective, and measure it on the test samples.

    Args:
        recipe: what is trained, on which data.
        objective: as the command line spells it: "mse_count(on=0.8)".
        seed: where randomness starts; the same gives the same numbers.
        checkpoint: a file that is written after every epoch, from which an interrupted training
            goes on when it is called again.
        watch: is called after every epoch.

    Raises:
        InputError: for what cannot be trained; TrainingError: where the loss becomes infinite.
    """
    found = chosen([objective], recipe)
    check(found, recipe)
    place = None if checkpoint is None else Path(checkpoint)
    return fit(recipe, found[0], seed, watch=watch, checkpoint=place)


def compare(
    recipe: Recipe,
    objectives: Sequence[str] | None = None,
    seeds: int = 3,
    *,
    out: str | Path | None = None,
    workers: int = 1,
    watch: Watch = lambda objective, seed, epoch: None,
) -> list[Run]:
    """Train the same network once per objective and seed; returns the runs of each objective.

    Args:
        recipe: what is trained, on which data.
        objectives: as the command line spells them; None: snnTorch's seven.
        seeds: 0, 1, ... seeds - 1, each for every objective.
        out: a folder that keeps every finished run, and gets the report; called again it goes on
            where it stopped, and a comparison in it grows.
        workers: processes that train, where there is a folder; 1: this process trains. With more,
            call it below `if __name__ == "__main__":`.
        watch: is called after every epoch, with objective, seed and epoch.

    Raises:
        InputError: for what cannot be trained; TrainingError: where a training fails.
    """
    found = chosen(defaults() if objectives is None else objectives, recipe)
    names = tuple(dict.fromkeys(objective.spelling for objective in found))
    comparison = Comparison(recipe, names, seeds)
    check(found, recipe, min(workers, len(comparison.runs())))
    if out is None:
        told = {objective.spelling: objective for objective in found}
        return [
            fit(recipe, told[name], seed, watch=_of(watch, name, seed))
            for name in names
            for seed in range(seeds)
        ]
    folder = Folder.open(Path(out), comparison)
    if workers > 1:
        with hired(folder, workers) as crew:
            crew.train(watch)
    for name, seed in folder.missing():
        (objective,) = chosen([name], recipe)
        place = folder.checkpoint(name, seed)
        folder.save(fit(recipe, objective, seed, watch=_of(watch, name, seed), checkpoint=place))
    publish(folder)
    return folder.runs()


def _of(watch: Watch, name: str, seed: int) -> Callable[[Epoch], None]:
    return lambda epoch: watch(name, seed, epoch)


def report(
    runs: Sequence[Run],
    folder: str | Path,
    *,
    title: str = "Objectives compared",
    about: str = "",
) -> Path:
    """Write report.html, results.json, results.csv and the pictures of any runs; returns the page.

    Args:
        runs: of `train` and `compare`, or of trainings of your own by `run_from_records`; those of
            an objective differ in their seed.
        folder: where to: a new or empty one, or one of an earlier report, which is replaced.
        title: of the page.
        about: what was trained on what, `names` in code.

    Raises:
        InputError: without a run, and where the folder holds other files or cannot be written.
    """
    return publish_runs(runs, Path(folder), title, about)
