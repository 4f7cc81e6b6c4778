"""What there is to see of one objective, as a value."""

from dataclasses import dataclass
from typing import Any

from . import drawing
from .moves import Curve
from .slopes import View


@dataclass(frozen=True, eq=False)
class Sheet:
    """An objective in pictures: what `atlas` returns. A notebook shows it as it is.

    Args:
        name: of the objective.
        kind: what it is shown on: "spikes", "membrane" or "logits".
        views: records with their loss and gradient.
        curves: the loss as the first record is moved.
        facts: what is computed, in words, by what it is about.
        rights: of each view the neuron that should answer, where there is one.
    """

    name: str
    kind: str
    views: tuple[View, ...]
    curves: tuple[Curve, ...]
    facts: dict[str, str]
    rights: tuple[int | None, ...]

    def svg(self) -> str:
        """The picture, for pages of either colour."""
        return drawing.svg(self)

    def as_dict(self) -> dict[str, Any]:
        """Name, facts, and of every record its loss and the share of it that carries gradient."""
        rows = [{"record": v.name, "loss": v.loss, "reached": v.reached} for v in self.views]
        return {"objective": self.name, "shown_on": self.kind, "facts": self.facts, "records": rows}

    def _repr_html_(self) -> str:
        return drawing.figure(self)
