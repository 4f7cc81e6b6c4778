"""The options that losses and accuracies share, and what errors call the arguments."""

from typing import Literal

from spikeloss._door import flag, integer, refuse
from spikeloss.reductions import Each, Mean, Reduction, Sum

REDUCTIONS: dict[str, Reduction] = {"mean": Mean(), "sum": Sum(), "none": Each()}

NAMES = {
    r"write target=targets\.OnOffTime\(\)": "pass target_is_time=False",
    " on and off ": " on_target and off_target ",
    "Weigh samples with sample_weight": "Pass weight=None",
    "target": "targets",
    "labels": "targets",
    "class_weight": "weight",
    "record": "spk_out",
    "classes": "num_classes",
    "on": "on_target",
    "off": "off_target",
}


def classes(population_code: bool, num_classes: int | Literal[False]) -> int | None:
    """How many classes populations of neurons vote for; None: each neuron is a class."""
    return given(num_classes) if flag("population_code", population_code) else None


def given(num_classes: int | Literal[False]) -> int:
    if not num_classes:
        fix = "Pass num_classes=10, say, for ten classes."
        refuse("num_classes", "the number of classes", num_classes, fix, ValueError)
    return integer("num_classes", num_classes, low=1)
