"""Metrics that add up over batches and devices, for torchmetrics, which must be installed.

    accuracy = spikeloss.torch_metrics.Accuracy(loss)
    for record, labels in loader:
        accuracy.update(record, labels)
    accuracy.compute()

Each is a `torchmetrics.Metric` of a function of `spikeloss.metrics`: the state is the sums of that
function, so that the value over batches of any size is the value over all samples at once. `update`
takes a record as the function does, with `lengths`, `valid`, `time_axis` and `class_axis`; options
of `torchmetrics.Metric` go to its constructor.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Unpack, cast

from . import _door, metrics
from ._door import refuse
from ._install import hint
from ._shapes import Classes, Layout, Record
from .metrics import Judge
from .metrics._activity import tally_operations
from .metrics._anytime import course
from .metrics._costs import tally_dense, tally_effective, tally_sparsity, tally_updates
from .metrics._decisions import BINS, tally_among, tally_gaps, tally_right
from .parts import Parts

try:
    import torch
    import torchmetrics
    from torch import Tensor
except ModuleNotFoundError as missing:
    rule, got = "the packages torch and torchmetrics", f"no {missing.name}"
    _door.refuse("torch_metrics", rule, got, hint("torchmetrics"), ModuleNotFoundError)

__all__ = [
    "Accuracy",
    "ActivationSparsity",
    "AnytimeAccuracy",
    "CalibrationError",
    "Confusion",
    "DenseOperations",
    "EffectiveAcs",
    "EffectiveMacs",
    "MembraneUpdates",
    "SpikesPerSample",
    "SynapticOperations",
    "TopK",
]


class _Mean(torchmetrics.Metric):
    """A mean over samples, whose state is its parts."""

    is_differentiable = False
    full_state_update = False
    total: Tensor
    samples: Tensor

    def __init__(self, shape: tuple[int, ...] = (), **options: Any) -> None:
        super().__init__(**options)
        self.add_state("total", torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("samples", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def _add(self, parts: Parts) -> None:
        self.total = self.total + parts.numerator[0]
        self.samples = self.samples + cast(Tensor, parts.denominator[0])

    def compute(self) -> Tensor:
        """The mean over all samples so far; nan if there are none."""
        return self.total / self.samples


class Accuracy(_Mean):
    """sum_b [c_b = y_b] / B over all batches: `metrics.accuracy`.

    Args:
        judge: a readout or a loss.

    >>> import torch
    >>> from spikeloss.readouts import SumOverTime
    >>> accuracy = Accuracy(SumOverTime())
    >>> accuracy.update(torch.tensor([[[1, 0]]]), torch.tensor([0]))
    >>> accuracy.update(torch.tensor([[[1, 0], [0, 1], [0, 1]]]), torch.tensor([1, 0, 0]))
    >>> accuracy.compute().item()
    0.25
    """

    higher_is_better = True

    def __init__(self, judge: Judge, **options: Any) -> None:
        super().__init__(**options)
        self.judge = judge

    def update(self, record: Record, labels: Classes, **layout: Unpack[Layout]) -> None:
        """Add a batch."""
        self._add(tally_right(self.judge, record, labels, layout))


class TopK(_Mean):
    """sum_b [y_b among the k largest z_b] / B over all batches: `metrics.top_k`.

    Args:
        judge: a readout or a loss.
        k: 1 or more.

    >>> import torch
    >>> from spikeloss.readouts import SumOverTime
    >>> metric = TopK(SumOverTime(), k=2)
    >>> metric.update(torch.tensor([[[1, 1, 1], [1, 0, 1]]]), torch.tensor([2, 2]))
    >>> metric.compute().item()
    0.5
    """

    higher_is_better = True

    def __init__(self, judge: Judge, *, k: int, **options: Any) -> None:
        super().__init__(**options)
        self.judge, self.k = judge, _door.integer("k", k, low=1)

    def update(self, record: Record, labels: Classes, **layout: Unpack[Layout]) -> None:
        """Add a batch."""
        self._add(tally_among(self.judge, record, labels, self.k, layout))


class Confusion(torchmetrics.Metric):
    """m_(y c) = sum_b [y_b = y and c_b = c] over all batches, (C, C + 1): `metrics.confusion`.

    Args:
        judge: a readout or a loss.
        classes: C.

    >>> import torch
    >>> from spikeloss.readouts import SumOverTime
    >>> metric = Confusion(SumOverTime(), classes=2)
    >>> metric.update(torch.tensor([[[1, 0], [1, 0], [0, 0]]]), torch.tensor([0, 1, 1]))
    >>> metric.compute().tolist()
    [[1, 0, 0], [1, 0, 1]]
    """

    is_differentiable = False
    full_state_update = False
    counts: Tensor

    def __init__(self, judge: Judge, *, classes: int, **options: Any) -> None:
        super().__init__(**options)
        self.judge, self.classes = judge, _door.integer("classes", classes, low=1)
        none = torch.zeros((self.classes, self.classes + 1), dtype=torch.int64)
        self.add_state("counts", none, dist_reduce_fx="sum")

    def update(self, record: Record, labels: Classes, **layout: Unpack[Layout]) -> None:
        """Add a batch."""
        counts = metrics.confusion(self.judge, record, labels, **layout)
        if counts.shape != self.counts.shape:
            rule, decided = f"a decision between {self.classes} classes", len(counts)
            refuse("record", rule, f"one between {decided}", f"Write classes={decided}.")
        self.counts = self.counts + counts

    def compute(self) -> Tensor:
        """The counts of all samples so far, int64."""
        return self.counts


class AnytimeAccuracy(_Mean):
    """a_t = sum_b [c_b(t) = y_b] / B over all batches, (T,): `metrics.anytime_accuracy`.

    Samples of a batch that is shorter than T steps keep the decision they ended with.

    Args:
        judge: a readout or a loss.
        steps: T, the steps of the longest record.

    >>> import torch
    >>> from spikeloss.readouts import SumOverTime
    >>> metric = AnytimeAccuracy(SumOverTime(), steps=3)
    >>> metric.update(torch.tensor([[[0, 0]], [[0, 1]], [[0, 1]]]), torch.tensor([1]))
    >>> metric.update(torch.tensor([[[1, 0]]]), torch.tensor([0]))
    >>> metric.compute().tolist()
    [0.5, 1.0, 1.0]
    """

    higher_is_better = True

    def __init__(self, judge: Judge, *, steps: int, **options: Any) -> None:
        self.steps = _door.integer("steps", steps, low=1)
        super().__init__((self.steps,), **options)
        self.judge = judge

    def update(self, record: Record, labels: Classes, **layout: Unpack[Layout]) -> None:
        """Add a batch."""
        (right,), count = course(self.judge, record, layout).tally(labels)
        if len(right) > self.steps:
            rule = f"at most {self.steps} steps"
            refuse("record", rule, len(right), f"Write steps={len(right)}.")
        ended = right[-1:].expand(self.steps - len(right))
        self._add(Parts((torch.cat([right, ended]),), count))


class CalibrationError(_Mean):
    """sum_m |sum_(b in m) [c_b = y_b] - p_b| / B over all batches: `metrics.calibration_error`.

    Args:
        judge: a readout or a loss.
        bins: M, from 1 to 10^6.

    >>> import torch
    >>> from spikeloss.readouts import SumOverTime
    >>> metric = CalibrationError(SumOverTime())
    >>> for label in (0, 1):
    ...     metric.update(torch.tensor([[[3.0, 1.0]]]).log(), torch.tensor([label]))
    >>> round(metric.compute().item(), 6)
    0.25
    """

    higher_is_better = False

    def __init__(self, judge: Judge, *, bins: int = 15, **options: Any) -> None:
        self.bins = _door.integer("bins", bins, low=1, high=BINS)
        super().__init__((self.bins,), **options)
        self.judge = judge

    def update(self, record: Record, labels: Classes, **layout: Unpack[Layout]) -> None:
        """Add a batch."""
        self._add(tally_gaps(self.judge, record, labels, self.bins, layout))

    def compute(self) -> Tensor:
        """The error over all samples so far; nan if there are none."""
        return self.total.abs().sum() / self.samples


class SynapticOperations(_Mean):
    """sum_(b t i) f_i [x_tbi != 0] / B over all batches: `metrics.synaptic_operations`.

    Args:
        fan_out: f, a number or a tensor (N,), which follows the metric to its device.

    >>> import torch
    >>> metric = SynapticOperations(10)
    >>> metric.update(torch.tensor([[[1, 1], [0, 1]], [[1, 1], [0, 0]]]))
    >>> metric.compute().item()
    25.0
    """

    fan_out: Any
    _tally: ClassVar[Callable[..., Parts]] = staticmethod(tally_operations)

    def __init__(self, fan_out: Any, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(fan_out, Tensor):
            self.register_buffer("fan_out", fan_out, persistent=False)
        else:
            self.fan_out = _door.neuron_weights("fan_out", fan_out)

    def update(self, record: Record, labels: Any = None, **layout: Unpack[Layout]) -> None:
        """Add a batch; labels are not read, and there for a `torchmetrics.MetricCollection`."""
        self._add(self._tally(record, self.fan_out, layout))


class SpikesPerSample(SynapticOperations):
    """sum_(b t i) [x_tbi != 0] / B over all batches: `metrics.spikes_per_sample`.

    >>> import torch
    >>> metric = SpikesPerSample()
    >>> metric.update(torch.tensor([[[1, 1], [0, 1]], [[1, 1], [0, 0]]]))
    >>> metric.compute().item()
    2.5
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(1.0, **options)


class EffectiveMacs(SynapticOperations):
    """sum_(b t i) f_i [x_tbi != 0] g_b / B over all batches: `metrics.effective_macs`.

    Args:
        fan_out: f, a number or a tensor (N,), which follows the metric to its device.

    >>> import torch
    >>> metric = EffectiveMacs(10)
    >>> metric.update(torch.tensor([[[0.5, 1.0], [1.0, 0.0]]]))
    >>> metric.compute().item()
    10.0
    """

    _tally = staticmethod(partial(tally_effective, graded=True))


class EffectiveAcs(SynapticOperations):
    """sum_(b t i) f_i [x_tbi != 0] (1 - g_b) / B over all batches: `metrics.effective_acs`.

    Args:
        fan_out: f, a number or a tensor (N,), which follows the metric to its device.

    >>> import torch
    >>> metric = EffectiveAcs(10)
    >>> metric.update(torch.tensor([[[0.5, 1.0], [1.0, 0.0]]]))
    >>> metric.compute().item()
    5.0
    """

    _tally = staticmethod(partial(tally_effective, graded=False))


class DenseOperations(SynapticOperations):
    """sum_(b i) n_b f_i / B over all batches: `metrics.dense_operations`.

    Args:
        fan_out: f, a number or a tensor (N,), which follows the metric to its device.

    >>> import torch
    >>> metric = DenseOperations(10)
    >>> metric.update(torch.zeros(4, 1, 2))
    >>> metric.compute().item()
    80.0
    """

    _tally = staticmethod(tally_dense)


class ActivationSparsity(_Mean):
    """1 - sum_(l b t i) [x_tbi != 0] / sum_(l b) n_b N_l over all batches.

    What `metrics.activation_sparsity` gives, of a record or of a mapping of layers to records.

    >>> import torch
    >>> metric = ActivationSparsity()
    >>> for step in ([1, 0], [0, 0]):
    ...     metric.update(torch.tensor([[step]]))
    >>> metric.compute().item()
    0.75
    """

    def update(self, record: Any, labels: Any = None, **layout: Unpack[Layout]) -> None:
        """Add a batch; labels are not read, and there for a `torchmetrics.MetricCollection`."""
        self._add(tally_sparsity(record, layout))


class MembraneUpdates(_Mean):
    """sum_(b i) (1 + sum_(t > 0) [u_tbi != u_(t-1)bi]) / B over all batches.

    What `metrics.membrane_updates` gives.

    >>> import torch
    >>> metric = MembraneUpdates()
    >>> metric.update(torch.tensor([[[0.0, 0.5]], [[0.0, 0.25]], [[0.0, 0.25]]]))
    >>> metric.compute().item()
    3.0
    """

    def update(self, record: Record, labels: Any = None, **layout: Unpack[Layout]) -> None:
        """Add a batch; labels are not read, and there for a `torchmetrics.MetricCollection`."""
        self._add(tally_updates(record, layout))
