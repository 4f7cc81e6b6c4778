"""What a readout, criterion, target or reduction is written with: ours, and one of your own.

Base classes are with their stages: `readouts.Readout` and `Summary`, `criteria.Criterion`,
`Weighed` and `Penalty`, `targets.Target`, `reductions.Reduction`. All else comes from here.
`presets.preset` puts a loss in the catalogue.

Options, declared with the field, as in `tau: float = field(metadata=number(above=0.0))`:

    number(low=, above=, high=)   a finite number within limits
    integer(low=, high=)          an integer within limits
    flag()                        True or False
    function()                    a function, or another value with a call
    choice(*names)                one of the names
    numbers()                     one or more numbers, as a tuple of floats
    per_neuron()                  a number of at least 0, or one for each neuron
    group()                       the name of a group of processes or of an axis, or several
    stage(base, example)          a stage of a kind; words={...} stand for some of them
    optional(option)              what another option takes, or None
    declared(check, **limits)     what a check of your own takes, check(name, value, **limits)
    checked(name, value, option)  the plain value of what is no field
    Checked                       a frozen dataclass whose fields are checked: what stages are
    plain(value)                  an array as nested lists, anything else as it is

Arrays of any library; the derivative is the same in all:

    namespace(x)                      the array API standard's functions, of the library of x
    like(values, x)                   numbers as an array beside x, of its dtype
    numbered(count, x)                0, 1, ... along the first axis, with as many axes as x
    constant(x)                       x, with the derivative 0
    where(condition, a, b)            a where it holds, else b
    select(valid, x, fill)            x where it is valid, else that number
    running_sum(x)                    sum_(s <= t) x_s over the first axis
    at(x, step)                       x[step] over the first axis, a step for each neuron
    first_nonzero(x)                  min{t: x_t != 0} over the first axis, T where there is none
    spike_time(x)                     the same as a time with the derivative -1 there, or T - 1
    absolute(x)                       |x|, its derivative 0 at 0
    power(x, exponent)                x, or x * x
    squared_difference(z, y, valid)   (z - y)^2, 0 where it is not valid
    log_softmax(z)                    z_c - log sum_k exp z_k over the last axis
    softmax(z, valid)                 e^z_c / sum_k e^z_k over the last axis, 0 where not valid
    exponential(x, shift)             e^(x - shift)
    surprise(z, label, valid)         -log softmax(z)_label, 0 where it is not valid
    by_class(label, C, x, on, off)    on where the class is the label, else off, in the dtype of x
    entries(x, label)                 x_label, of a vector
    as_index(label)                   integers in the dtype that the library indexes with
    product(a, b)                     the matrix product, in the dtype of its factors
    squared_distances(x)              sum_k (x_ik - x_jk)^2, without cancellation
    ctc(log_p, labels, ...)           -log of the probability of label sequences
    lost(a, b)                        what the sum a + b loses by rounding
    sum_of_all(x), mean_of_all(x)     over all entries, 0-d
    kind(x)                           "float", "half", "integer", "bool" or "other"
    checks_values(*arrays)            whether values may be read here, to check them
    extent(x)                         the smallest and the largest entry, as Python numbers
    settled(x)                        what stands for x in such a check, also where JAX compiles

Pieces of a record, which readouts read:

    Piece                             some consecutive steps: `Dense`, or events
    Dense                             a piece that has an entry for every step
    every_step(piece, readout)        the piece, if it is dense; events are refused
    finite(piece)                     refuses spikes that are nan or infinite
    open_record(record, **layout)     a record as a piece
    Spikes                            the first spikes of every neuron, as `piece.spikes` gives them
    present(steps)                    the samples that have any of so many steps; None: all
    renewed(before, now, there)       what is now, where a sample is there; else what was before

Sums over time, as right after 10^9 steps as after ten:

    plus(carry, x)                    x after what was summed before, None at the start
    Sum                               what `plus` gives: `value`, and what it lost by rounding
    sum_over_time(x, decides)         sum_t x_t over the first axis; exact where it decides

What a criterion gives, and a reduction takes:

    Totals(value, weight, number)     of every sample the sum of w l, of w, and how many count
    divided(numerator, denominator)   their quotient, nan where the denominator is 0
    Parts(numerator, denominator)     those of all terms of a loss, which add up over ranks

Checks of targets against the outline of a decision, for `fit`:

    Check                             what `fit` gives: the check of the values that is left
    fit_labels(y, outline)            class labels, one per sample or step
    fit_numbers(y, outline, held)     numbers, like the decision or one per sample and class
    fit_class_target(y, outline, i)   labels, of which i are left out, or probabilities
    NUMBERS, SHARES, AT_LEAST_0       checks of numbers: any, from 0 to 1, at least 0

Functions of the user's own in the place of a stage:

    named(f)                          how it is called
    written_for(f, x)                 refuses arrays of a library that is not its own
    returned(f, value, x, *shapes)    what it gave: an array beside x, of one of the shapes

Errors, `<argument>: expected <rule>, got <what>. <one fix>`:

    refuse(argument, rule, got, fix, error)  raises one, ValueError unless told
    no_labels()                       class weights need class labels
    undecided(stage)                  what stands for no class
    said(value), cut(text)            what came, in a few words; a text of at most 60 letters
    span(low, high), shape_of(x)      a range, a shape
    per_sample(batch, word)           "5 labels, one per sample"
    batch_first(shape, batch, steps, fix)  a fix, or another where samples seem to be steps
    cast(argument, x, to)             how to convert an array
    known, keywords, blamed           names of options of what is no stage, as of presets

Shapes, which annotations name: T time steps, *B batch axes, N neurons, C classes, F spikes; S is T,
F or no axis:

    Array                             an array of any library
    Record (T, *B, N), Valid (T, *B, 1), Steps (*B, 1)
    Decision (S, *B, C), Evidence (*B, C), Labels (S, *B)
    Carry                             what a readout carries from one piece to the next
    Layout                            `lengths`, `valid`, `time_axis`, `class_axis`
"""

from ._backend import (
    absolute,
    as_index,
    at,
    by_class,
    checks_values,
    constant,
    ctc,
    entries,
    exponential,
    extent,
    first_nonzero,
    kind,
    like,
    log_softmax,
    lost,
    mean_of_all,
    namespace,
    numbered,
    power,
    product,
    running_sum,
    select,
    settled,
    softmax,
    spike_time,
    squared_difference,
    squared_distances,
    sum_of_all,
    surprise,
    where,
)
from ._door import (
    AT_LEAST_0,
    NUMBERS,
    SHARES,
    Check,
    batch_first,
    blamed,
    cast,
    cut,
    fit_class_target,
    fit_labels,
    fit_numbers,
    keywords,
    known,
    named,
    no_labels,
    per_sample,
    plain,
    refuse,
    returned,
    said,
    shape_of,
    span,
    undecided,
    written_for,
)
from ._open import open_record
from ._options import (
    checked,
    choice,
    declared,
    flag,
    function,
    group,
    integer,
    number,
    numbers,
    optional,
    per_neuron,
    stage,
)
from ._piece import Dense, Piece, Spikes, every_step, finite, present, renewed
from ._shapes import Array, Carry, Decision, Evidence, Labels, Layout, Record, Steps, Valid
from ._stage import Checked
from ._sums import Sum, plus, sum_over_time
from .parts import Parts, Totals, divided

__all__ = [
    "AT_LEAST_0",
    "NUMBERS",
    "SHARES",
    "Array",
    "Carry",
    "Check",
    "Checked",
    "Decision",
    "Dense",
    "Evidence",
    "Labels",
    "Layout",
    "Parts",
    "Piece",
    "Record",
    "Spikes",
    "Steps",
    "Sum",
    "Totals",
    "Valid",
    "absolute",
    "as_index",
    "at",
    "batch_first",
    "blamed",
    "by_class",
    "cast",
    "checked",
    "checks_values",
    "choice",
    "constant",
    "ctc",
    "cut",
    "declared",
    "divided",
    "entries",
    "every_step",
    "exponential",
    "extent",
    "finite",
    "first_nonzero",
    "fit_class_target",
    "fit_labels",
    "fit_numbers",
    "flag",
    "function",
    "group",
    "integer",
    "keywords",
    "kind",
    "known",
    "like",
    "log_softmax",
    "lost",
    "mean_of_all",
    "named",
    "namespace",
    "no_labels",
    "number",
    "numbered",
    "numbers",
    "open_record",
    "optional",
    "per_neuron",
    "per_sample",
    "plain",
    "plus",
    "power",
    "present",
    "product",
    "refuse",
    "renewed",
    "returned",
    "running_sum",
    "said",
    "select",
    "settled",
    "shape_of",
    "softmax",
    "span",
    "spike_time",
    "squared_difference",
    "squared_distances",
    "stage",
    "sum_of_all",
    "sum_over_time",
    "surprise",
    "undecided",
    "where",
    "written_for",
]
