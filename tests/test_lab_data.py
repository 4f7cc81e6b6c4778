"""The workbench's data: every source, every encoding, and what is refused, against loops."""

import json
import math
import os
import sys
import tomllib
import zipfile
from dataclasses import asdict

import h5py
import numpy as np
import pytest

from spikeloss.lab.data import SOURCES, DataRecipe, binning, load, source
from spikeloss.lab.data.samples import Dataset, Dense, Packed, Sparse, Split
from spikeloss.lab.errors import InputError

T, B, F, C = 7, 20, 3, 4
RNG = np.random.default_rng(0)
INPUTS = RNG.random((T, B, F)).astype(np.float32)
SPIKES = RNG.random((T, B, F)) < 0.3
LABELS = np.arange(B) % C
LENGTHS = 1 + np.arange(B) % T


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Everything is a relative path in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def whole(split):
    return split.take(np.arange(len(split)))


def joined(dataset):
    """Training and test samples in the order of the file."""
    splits = dataset.train, dataset.test
    order = np.argsort(np.concatenate([split.where for split in splits]))
    batches = [whole(split) for split in splits]
    inputs = np.concatenate([batch.inputs for batch in batches], axis=1)
    return inputs[:, order], np.concatenate([batch.labels for batch in batches])[order]


def npz(name="a.npz", **arrays):
    np.savez(name, **arrays)
    return name


def hdf(name="a.h5", **arrays):
    with h5py.File(name, "w") as file:
        for key, value in arrays.items():
            file[key] = value
    return name


def events(record):
    time, sample, neuron = record.nonzero()
    return {"time": time, "sample": sample, "neuron": neuron, "shape": np.array(record.shape)}


def said(recipe=None, **fields):
    with pytest.raises(InputError) as raised:
        load(recipe or DataRecipe(**fields))
    message = str(raised.value)
    assert message.count(": expected ") == 1
    assert ", got " in message
    assert message.endswith((".", "?"))
    return message


# ---- the recipe


def test_a_recipe_survives_json_and_toml():
    recipe = DataRecipe("a.npz", 9, "delta", options=(("off", True), ("every", 3), ("x", 0.5)))
    again = DataRecipe(**json.loads(json.dumps(asdict(recipe))))
    assert again == recipe
    assert hash(again) == hash(recipe)
    table = tomllib.loads('source = "a.npz"\nsteps = 9\nencoding = "delta"\n[options]\n'
                          "x = 0.5\nevery = 3\noff = true\n")  # fmt: skip
    assert DataRecipe(**table) == recipe
    assert eval(repr(recipe)) == recipe


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "--steps: expected a whole number of at least 1, got 0. Drop it."),
        ({"steps": True}, "--steps: expected a whole number of at least 1, got True. Drop it."),
        ({"encoding": "morse"}, "encoding: expected current or rate or latency or delta, got "
         "'morse'. Name one of these."),
        ({"memory": 0}, "memory: expected GiB, a number above 0, got 0. Try 4."),
        ({"options": (("a", 1), ("a", 2))}, "options: expected pairs of a name and a plain value, "
         "got a name twice. Write name = value, each name once."),
        ({"options": (("a", [1]),)}, "options: expected pairs of a name and a plain value, got "
         "('a', [1]). Write name = value, each name once."),
        ({"options": 3}, "options: expected pairs of a name and a plain value, got 3. Write "
         "name = value, each name once."),
    ],
)  # fmt: skip
def test_a_recipe_holds_plain_values(fields, message):
    with pytest.raises(InputError) as raised:
        DataRecipe(**fields)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "digit"}, "got 'digit'. Did you mean digits?"),
        ({"source": "zzz"}, "got 'zzz'. Name one of these."),
        ({"options": (("seed", 1),)}, "options: expected none, as digits has none, got 'seed'. "
         "Drop it."),
        ({"source": "randman", "options": (("unit", 1),)}, "got 'unit'. Did you mean units?"),
        ({"source": "randman", "options": (("units", 0),)}, "units: expected a whole number from 1 "
         "to 100000, got 0. Its default is 20."),
        ({"source": "randman", "options": (("units", 1.5),)}, "got 1.5. Its default is 20."),
        ({"source": "randman", "options": (("units", True),)}, "got True. Its default is 20."),
        ({"source": "randman", "options": (("alpha", math.nan),)}, "alpha: expected a number from "
         "0 to 100, got nan. Its default is 1.0."),
        ({"source": "randman", "options": (("window", 101),)}, "window: expected steps from 0 to "
         "100, got 101. Take more --steps."),
        ({"source": "yin-yang", "options": (("bias", 1),)}, "bias: expected true or false, got 1."),
        ({"source": "yin-yang", "options": (("late", 30),)}, "late: expected a step from 0 to 29, "
         "got 30. Take more --steps."),
        ({"encoding": "delta"}, "encoding: expected delta for sequences only, got constant "
         "currents. Take rate or latency."),
        ({"encoding": "rate", "options": (("rate_sed", 1),)}, "got 'rate_sed'. Did you mean "
         "rate_seed?"),
        ({"source": "randman", "encoding": "rate"}, "encoding: expected current, as the samples "
         "are spikes, got rate. Drop it, or take current."),
        ({"test": "b.npz"}, "test: expected none, as digits has its own, got b.npz. Drop it."),
        ({"folder": "."}, "folder: expected none, as digits needs none, got .. Drop it."),
        ({"source": "nmnist"}, "folder: expected the folder that nmnist lies in, got none. Nothing "
         "is downloaded: name the folder that you have it in."),
        ({"source": "japanese-vowels", "steps": 28}, "--steps: expected at least 29, the frames of "
         "the longest sample, got 28. Drop --steps."),
    ],
)  # fmt: skip
def test_what_a_source_does_not_take_is_refused(fields, message):
    assert message in said(**fields)


# ---- samples


@pytest.mark.parametrize("name", ["digits", "digits-cut", "japanese-vowels"])
def test_batches_are_those_of_the_whole(name):
    dataset = load(DataRecipe(name))
    for split in (dataset.train, dataset.test):
        dense = whole(split)
        index = RNG.integers(0, len(split), 13)
        batch = split.take(index)
        assert batch.inputs.dtype == np.float32
        assert batch.inputs.shape[1:] == (13, split.features)
        assert len(batch.inputs) in (1, split.steps)
        assert np.array_equal(batch.inputs, dense.inputs[:, index])
        assert np.array_equal(batch.labels, dense.labels[index])
        assert (batch.lengths is None) == (dense.lengths is None)
        if batch.lengths is not None:
            assert np.array_equal(batch.lengths, dense.lengths[index])
    assert dataset.about == source(DataRecipe(name)).about


def test_an_index_is_integers_within_the_samples():
    split = load(DataRecipe()).test
    assert len(split) == 360
    assert split.take([]).inputs.shape == (1, 0, 64)
    for wrong in ([360], [-1], [0.0], [True, False]):
        with pytest.raises(IndexError, match="index: expected"):
            split.take(wrong)


def test_spikes_take_a_bit_each_and_events_what_they_are():
    dataset = load(DataRecipe(npz(spikes=SPIKES, labels=LABELS)))
    assert isinstance(dataset.train.store, Packed)
    assert dataset.train.store.bits.nbytes == B * math.ceil(T * F / 8)
    huge = {"time": [5], "sample": [1], "neuron": [2], "shape": [10**4, B, 10**4]}
    dataset = load(DataRecipe(npz("b.npz", labels=LABELS, **huge)))
    assert isinstance(dataset.train.store, Sparse)
    assert dataset.train.store.at.nbytes == 4
    assert source(DataRecipe("b.npz")).steps == 10**4


def test_loaded_samples_are_shared_and_never_written_to():
    name = npz(inputs=INPUTS, labels=LABELS)
    first = load(DataRecipe(name))
    assert load(DataRecipe(name)) is first
    with pytest.raises(ValueError, match="read-only"):
        first.train.labels[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        first.train.store.array[0] = 1
    npz(name, inputs=INPUTS + 1, labels=LABELS)
    os.utime(name, ns=(1, 1))
    assert np.array_equal(joined(load(DataRecipe(name)))[0], INPUTS + 1)


# ---- files


@pytest.mark.parametrize(
    "write",
    [
        lambda: npz(inputs=INPUTS, labels=LABELS),
        lambda: npz(inputs=INPUTS.astype(">f8"), labels=LABELS.astype(np.uint8)),
        lambda: npz(inputs=np.asfortranarray(INPUTS), labels=LABELS),
        lambda: hdf(inputs=INPUTS, labels=LABELS),
        lambda: hdf("a.HDF5", inputs=INPUTS.astype(">f8"), labels=LABELS),
        lambda: [np.save("a.npy", INPUTS), np.save("a-labels.npy", LABELS), "a.npy"][2],
    ],
)
def test_a_file_is_split_by_every_fifth_sample_of_a_class(write):
    dataset = load(DataRecipe(write()))
    inputs, labels = joined(dataset)
    assert np.array_equal(inputs, INPUTS)
    assert np.array_equal(labels, LABELS)
    assert (len(dataset.train), len(dataset.test), dataset.classes) == (16, 4, C)
    assert sorted(dataset.test.labels) == list(range(C))
    assert dataset.train.lengths is None
    assert dataset.about.endswith("16 to learn from, 4 to test on: sequences of 3 features, "
                                  "4 classes.")  # fmt: skip


def test_the_split_is_seeded():
    name = npz(inputs=INPUTS, labels=LABELS)
    wheres = [
        load(DataRecipe(name, options={"seed": seed})).test.where.tolist() for seed in (0, 0, 1)
    ]
    assert wheres[0] == wheres[1] != wheres[2]
    halves = load(DataRecipe(name, options={"every": 2}))
    assert len(halves.test) == 10


def test_a_file_says_what_is_for_the_test():
    given = {"inputs": INPUTS, "labels": LABELS, "lengths": LENGTHS}
    dataset = load(DataRecipe(npz("1.npz", **given, train=[5, 1, 9], test=[0, 2])))
    assert np.array_equal(whole(dataset.train).inputs, INPUTS[:, [5, 1, 9]])
    assert dataset.train.lengths.tolist() == LENGTHS[[5, 1, 9]].tolist()
    assert dataset.test.where.tolist() == [0, 2]
    dataset = load(DataRecipe(hdf("1.h5", **given, test=[3], validation=[4])))
    assert len(dataset.train) == 18
    assert dataset.validation.labels.tolist() == [LABELS[4]]
    more = {"test_inputs": INPUTS[:, :6], "test_labels": LABELS[:6], "test_lengths": LENGTHS[:6]}
    dataset = load(DataRecipe(npz("2.npz", **given, **more)))
    assert (len(dataset.train), len(dataset.test)) == (20, 6)
    assert dataset.test.lengths.tolist() == LENGTHS[:6].tolist()
    npz("3.npz", inputs=INPUTS[:, :2], labels=LABELS[:2])
    dataset = load(DataRecipe(npz("4.npz", **given), test="3.npz"))
    assert (len(dataset.train), len(dataset.test), dataset.test.lengths.min()) == (20, 2, T)
    assert "got a second file and arrays test_... or validation_.... " in said(
        source="2.npz", test="3.npz"
    )
    both = npz("6.npz", **given, **more, train=[1, 2])
    assert "got arrays test_... or validation_... and numbers of samples. " in said(source=both)
    alone = npz("7.npz", **given, validation=[1, 2])
    assert "validation: expected numbers `train` or `test` beside it" in said(source=alone)
    message = said(source=npz("5.npz", **given, train=[1, 2], test=[2, 3]))
    assert message.startswith("train: expected samples that are not in test, too, got some in both")


def test_events_are_the_record_that_they_stand_for():
    counts = RNG.integers(0, 3, (T, B, F))
    time, sample, neuron = np.repeat(np.stack(counts.nonzero()), counts[counts > 0], axis=1)
    order = RNG.permutation(len(time))
    given = {"time": time[order] + 0.25, "sample": sample[order], "neuron": neuron[order]}
    name = npz(**given, shape=[T, B, F], labels=LABELS)
    assert np.array_equal(joined(load(DataRecipe(name)))[0], counts)
    name = hdf(**events(SPIKES), labels=LABELS)
    dataset = load(DataRecipe(name))
    assert dataset.train.store.spikes
    assert np.array_equal(joined(dataset)[0], SPIKES)
    name = npz("c.npz", **events(SPIKES), amplitude=np.full(SPIKES.sum(), -0.5), labels=LABELS)
    assert np.array_equal(joined(load(DataRecipe(name)))[0], -0.5 * SPIKES)
    silent = events(np.zeros((T, B, F)))
    assert not joined(load(DataRecipe(npz("d.npz", **silent, labels=LABELS))))[0].any()


def test_no_valid_step_is_cut_and_later_ones_are_no_data():
    name = npz(inputs=INPUTS, labels=LABELS)
    longer = load(DataRecipe(name, steps=9))
    assert longer.train.lengths.tolist() == 16 * [T]
    assert not whole(longer.train).inputs[T:].any()
    assert "--steps: expected at least 7" in said(source=name, steps=6)
    short = npz("b.npz", inputs=INPUTS, labels=LABELS, lengths=np.full(B, 4))
    assert np.array_equal(joined(load(DataRecipe(short, steps=5)))[0], INPUTS[:5])
    assert "--steps: expected at least 4" in said(source=short, steps=3)
    constant = npz("c.npz", inputs=INPUTS[0], labels=LABELS, lengths=np.full(B, 30))
    assert load(DataRecipe(constant)).train.steps == 30
    assert whole(load(DataRecipe(constant, steps=40)).train).inputs.shape == (1, 16, F)


GOOD = {"inputs": INPUTS, "labels": LABELS}


def changed(**arrays):
    return {key: value for key, value in {**GOOD, **arrays}.items() if value is not None}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (changed(labels=None), "a.npz: expected an array `labels`, got inputs. Save it under that "
         "name."),
        (changed(inputs=None), "a.npz: expected an array `inputs` or `spikes`, or events time, "
         "sample, neuron, shape, got labels. Save it under that name."),
        (changed(spikes=SPIKES), "got inputs and spikes. Keep one of them."),
        (changed(inputs=None, time=[0], sample=[0]), "expected an array `neuron` beside "),
        (changed(inputs=INPUTS.swapaxes(0, 1)), "inputs: expected as many samples as labels, 20, "
         "got shape (20, 7, 3) with 7. They seem to be batch first: save "
         "numpy.moveaxis(inputs, 0, 1)."),
        (changed(inputs=INPUTS[0].T), "They seem to be features first: save inputs.T."),
        (changed(inputs=INPUTS[:, :19]), "(7, 19, 3) with 19. Save one label per sample."),
        (changed(inputs=INPUTS[0, 0]), "inputs: expected shape (steps, samples, features), or "),
        (changed(inputs=INPUTS[..., :0]), "got shape (7, 20, 0). Reorder"),
        (changed(inputs=INPUTS + 1j), "inputs: expected real numbers, got complex64."),
        (changed(inputs=np.where(SPIKES, np.nan, INPUTS)), "inputs: expected numbers that are "
         "finite, got nan. Drop or replace what is not a number."),
        (changed(inputs=INPUTS.astype(float) * 1e300), "got inf, or more than float32 holds."),
        (changed(labels=LABELS - 1), "labels: expected values from 0 to 99999, got -1 to 2."),
        (changed(labels=LABELS * 10**6), "labels: expected values from 0 to 99999, got 0 to "
         "3000000. Number the classes from 0."),
        (changed(labels=np.uint64(2**64 - 1) - LABELS.astype(np.uint64)), "got 18446744073709551612"
         " to 18446744073709551615."),
        (changed(labels=LABELS / 2), "labels: expected integers, got float64. Cast it with "),
        (changed(labels=np.tile(LABELS, (T, 1))), "labels: expected shape (samples,), got shape "),
        (changed(lengths=0 * LENGTHS), "lengths: expected values from 1 to 7, got 0 to 0. Count "
         "them from 1; drop samples without a step."),
        (changed(lengths=LENGTHS + 1), "lengths: expected values from 1 to 7, got 2 to 8."),
        (changed(lengths=LENGTHS[:3]), "lengths: expected shape (20,), got shape (3,)."),
        (changed(test=[20]), "test: expected values from 0 to 19, got 20 to 20."),
        (changed(test=[3, 3]), "test: expected every sample once, got one twice."),
        (changed(test=[]), "test: expected one axis of numbers of samples, got shape (0,)."),
        (changed(test=np.arange(19)), "samples: expected 2 samples to learn from and 1 to test on, "
         "at least, got 1 of 20 in train. Bring more samples."),
        (changed(inputs=INPUTS[:, :3], labels=LABELS[:3]), "got 0 of 3 in test."),
        (changed(test_labels=LABELS), "a.npz: expected an array `test_inputs` or `test_spikes`"),
        (changed(test_inputs=INPUTS[..., :2], test_labels=LABELS), "test: expected 3 features, as "
         "in train, got 2 in test."),
        (changed(test_inputs=INPUTS, test_labels=LABELS + 1), "labels: expected values from 0 to "
         "3, got 4 in test. Number the classes from 0."),
    ],
)  # fmt: skip
def test_what_a_file_must_not_hold(arrays, message):
    assert message in said(source=npz(**arrays))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": [T, B]}, "shape: expected 3 whole numbers of at least 1"),
        ({"shape": [T, B, 0]}, "shape: expected 3 whole numbers of at least 1"),
        ({"shape": [2**40, 2**40, 2**40]}, "shape: expected 3 whole numbers of at least 1"),
        ({"shape": [10**6, B, 10**6]}, "shape: expected samples that fit into 4 GiB of memory"),
        ({"shape": [T, B + 1, F]}, "shape: expected labels for 21 samples, got 20 labels."),
        ({"time": [-1]}, "time: expected times from 0 and below 7, got -1 to -1."),
        ({"time": [np.nan]}, "time: expected times from 0 and below 7, got nan to nan."),
        ({"time": [7]}, "time: expected times from 0 and below 7, got 7 to 7."),
        ({"sample": [B]}, "sample: expected values from 0 to 19, got 20 to 20."),
        ({"neuron": [F]}, "neuron: expected values from 0 to 2, got 3 to 3."),
        ({"neuron": [0, 1]}, "neuron: expected shape (1,), like time, got shape (2,)."),
        ({"amplitude": [np.inf]}, "amplitude: expected 1 numbers that are finite"),
    ],
)
def test_what_events_must_not_be(changes, message):
    good = {"time": [1], "sample": [2], "neuron": [0], "shape": [T, B, F], "labels": LABELS}
    assert message in said(source=npz(**{**good, **changes}))


def header(shape):
    """The bytes of an .npy file that promises more than it has."""
    text = str({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    text += b" " * (118 - len(text) - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def test_huge_promises_are_refused_before_they_are_kept():
    with zipfile.ZipFile("a.npz", "w") as archive:
        archive.writestr("inputs.npy", header((10**6, B, 10**6)))
        archive.writestr("labels.npy", header((B,)))
    with zipfile.ZipFile("e.npz", "w") as archive:
        archive.writestr("test.npy", header((10**12,)))
        for name, array in (("inputs", INPUTS), ("labels", LABELS)):
            with archive.open(f"{name}.npy", "w") as file:
                np.save(file, array)
    assert "test: expected samples that fit into 4 GiB of memory" in said(source="e.npz")
    assert source(DataRecipe("a.npz")).steps == 10**6
    assert "a.npz: expected samples that fit into 4 GiB of memory, got arrays" in said(
        source="a.npz"
    )
    with open("b.npy", "wb") as file:
        file.write(header((10**6, B, 10**6)))
    np.save("b-labels.npy", LABELS)
    assert "b.npy: expected a .npy file of plain numbers, got something else" in said(
        source="b.npy"
    )
    with h5py.File("c.h5", "w") as file:
        file.create_dataset("inputs", (10**6, B, 10**6), "f4", chunks=(1, B, 10))
        file["labels"] = LABELS
    assert "c.h5: expected samples that fit into 4 GiB of memory" in said(source="c.h5")
    with h5py.File("c.h5", "w") as file:  # a chunk is unpacked as a whole
        chunks, most = (1000, 1000, 1000), (None, None, None)
        file.create_dataset("inputs", (T, B, F), "f4", chunks=chunks, maxshape=most)
        file["labels"] = LABELS
    assert "c.h5: expected samples that fit into 4 GiB of memory" in said(source="c.h5")
    name = npz("d.npz", inputs=INPUTS, labels=LABELS)
    assert "d.npz: expected samples that fit into 9.99e-07 GiB" in said(source=name, memory=1e-6)


def test_nothing_is_unpickled_or_read_from_elsewhere():
    objects = np.array([{}] * B, dtype=object)
    assert "a.npz: expected an .npz archive of plain arrays" in said(
        source=npz(inputs=INPUTS, labels=objects)
    )
    np.save("b.npy", np.array([{}, {}], dtype=object))
    np.save("b-labels.npy", LABELS)
    assert "expected a .npy file of plain numbers, got something else" in said(source="b.npy")
    np.save("b.npy", np.zeros(3, [("t", int)]))
    assert "expected a .npy file of plain numbers, got [('t', '<i8')]" in said(source="b.npy")
    other = hdf("other.h5", labels=LABELS)
    for link in (h5py.ExternalLink(other, "labels"), h5py.SoftLink("/elsewhere")):
        hdf("c.h5", inputs=INPUTS, labels=link, elsewhere=h5py.ExternalLink(other, "labels"))
        assert "c.h5, labels: expected a data set in this file, got a link." in said(source="c.h5")
    with h5py.File("d.h5", "w") as file:
        file["inputs"] = INPUTS
        file.create_dataset("labels", (B,), "i8", external=[("secret", 0, 8 * B)])
    assert "expected numbers in this file, got some in another file." in said(source="d.h5")
    with h5py.File("e.h5", "w") as file:
        layout = h5py.VirtualLayout((B,), "i8")
        layout[:] = h5py.VirtualSource(other, "labels", (B,))
        file.create_virtual_dataset("labels", layout)
        file["inputs"] = INPUTS
    assert "expected numbers in this file, got some in another file." in said(source="e.h5")
    for text in (np.array(B * ["a"], dtype=h5py.string_dtype()), np.array(B * [b"a"])):
        hdf("f.h5", inputs=INPUTS, labels=text)
        assert "f.h5, labels: expected plain numbers, got objects or text." in said(source="f.h5")
    with h5py.File("g.h5", "w") as file:
        file["inputs"] = INPUTS
        file.create_group("labels")
    assert "g.h5, labels: expected a data set, got something else." in said(source="g.h5")


def test_what_is_no_file_is_said():
    assert said(source="no.npz") == (
        "no.npz: expected a file to read, got no such file or directory. Check the path."
    )
    for name in ("a.npz", "a.h5", "a.npy"):
        os.mkdir(name)
        assert "got is a directory." in said(source=name)
    for name in ("b.npz", "b.h5", "b.npy"):
        with open(name, "wb") as file:
            file.write(b"no archive")
    np.save("b-labels.npy", LABELS)
    assert "b.npz: expected an .npz archive" in said(source="b.npz")
    assert "b.h5: expected an HDF5 file, got something else" in said(source="b.h5")
    assert "b.npy: expected a .npy file" in said(source="b.npy")
    np.save("c.npy", INPUTS)
    assert "c.npy: expected its labels beside it, in c-labels.npy, got no such" in said(
        source="c.npy"
    )


def test_a_file_that_ends_early_is_a_mistake(here):
    npz("b.npz", inputs=INPUTS, labels=LABELS)
    hdf("b.h5", inputs=INPUTS, labels=LABELS)
    np.save("b.npy", INPUTS)
    heidelberg(here / "c.h5", 9)
    np.save("a-labels.npy", LABELS)
    for name in ("b.npz", "b.h5", "b.npy", "c.h5"):
        content = (here / name).read_bytes()
        short = f"a{name[1:]}"
        for end in np.linspace(0, len(content) - 1, 12, dtype=int):
            (here / short).write_bytes(content[:end])
            assert said(source=short).startswith("a.")


def test_parts_are_measured_together():
    more = {"test_inputs": INPUTS, "test_labels": LABELS}
    name = npz(inputs=INPUTS, labels=LABELS, **more)
    one = (INPUTS.nbytes * 1.5 + LABELS.nbytes) / 2**30
    assert "a.npz: expected samples that fit into" in said(source=name, memory=1.9 * one)
    assert len(load(DataRecipe(name, memory=2.1 * one)).test) == B


# ---- a function of the user's

MODULE = """
import numpy as np
from spikeloss.lab.data.samples import Dataset, Dense, Split

def pair(steps=6, units=2):
    return np.ones((steps, 10, units)), np.arange(10) % 2

def four(steps):
    inputs, labels = pair(steps)
    return inputs, labels, inputs[:, :3], labels[:3]

def named(**options):
    inputs, labels = pair()
    return {"spikes": inputs, "labels": labels, "lengths": 1 + labels, "test": None} | options

def ours(steps, wrong=0):
    split = Split(Dense(np.ones((1, 4, 3))), np.arange(4), steps=steps)
    return Dataset(split, split, 4 - wrong)

def fails():
    import helper
    return helper.value

def nothing():
    pass
"""


@pytest.fixture
def module(here):
    (here / "package").mkdir()
    (here / "package" / "waves.py").write_text(MODULE)
    yield "package.waves"
    for name in ("package.waves", "package"):
        sys.modules.pop(name, None)


def test_a_function_gives_samples(module):
    path = list(sys.path)
    dataset = load(DataRecipe(f"{module}:pair", options={"units": 5}))
    assert (dataset.train.features, dataset.train.steps, len(dataset.train)) == (5, 6, 8)
    assert load(DataRecipe(f"{module}:pair", steps=9)).train.steps == 9
    dataset = load(DataRecipe(f"{module}:four"))
    assert (dataset.train.steps, len(dataset.train), len(dataset.test)) == (25, 10, 3)
    assert load(DataRecipe(f"{module}:named")).train.lengths.max() == 2
    dataset = load(DataRecipe(f"{module}:ours", steps=4, encoding="latency"))
    assert isinstance(dataset, Dataset)
    assert whole(dataset.train).inputs.shape == (4, 4, 3)
    assert "function package.waves:ours gives" in dataset.about
    assert sys.path == path


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("pair", {"unit": 1}, "options: expected options of package.waves:pair: steps, units, got "
         "'unit'. Did you mean units?"),
        ("named", {"labels": 3}, "labels: expected shape (samples,), got shape ()."),
        ("ours", {"wrong": 1}, "labels: expected values from 0 to 2, got 3."),
        ("fails", {}, "package.waves:fails: expected a function that gives samples, got "
         "ModuleNotFoundError: No module named 'helper', waves.py line 21. Correct it."),
        ("nothing", {}, "got None. Return one of these, in NumPy arrays."),
        ("pairs", {}, "package.waves:pairs: expected a function `pairs`, got no function in "),
        ("pair.x", {}, "--data: expected the name of a function, got 'package.waves:pair.x'."),
    ],
)  # fmt: skip
def test_what_a_function_must_not_do(module, name, options, message):
    assert message in said(source=f"{module}:{name}", options=options)


def test_a_module_that_is_not_there_is_said():
    assert said(source="no_such_module:f") == (
        "no_such_module:f: expected a function that gives samples, got ModuleNotFoundError: "
        "No module named 'no_such_module'. Correct it."
    )


# ---- encodings


def test_rates_are_probabilities_and_the_same_in_every_batch():
    recipe = DataRecipe("digits", steps=200, encoding="rate")
    dataset, raw = load(recipe), load(DataRecipe("digits"))
    index = np.array([7, 3, 300])
    x, spikes = raw.test.take(index).inputs[0], dataset.test.take(index).inputs
    low, high = whole(raw.train).inputs.min(), whole(raw.train).inputs.max()
    p = np.clip((x - low) / (high - low), 0, 1)
    assert set(np.unique(spikes)) == {0, 1}
    assert not spikes[:, p == 0].any()
    assert spikes[:, p == 1].all()
    assert np.abs(spikes.mean(axis=0) - p).max() < 5 * math.sqrt(0.25 / 200)
    for row, sample in enumerate(index):
        assert np.array_equal(dataset.test.take([sample]).inputs[:, 0], spikes[:, row])
    same_number = dataset.train.take(index).inputs
    assert not np.array_equal(same_number, spikes)
    other = load(DataRecipe("digits", 200, "rate", options={"rate_seed": 1}))
    assert not np.array_equal(other.test.take(index).inputs, spikes)


def test_the_brightest_fire_first_and_the_darkest_never():
    inputs = RNG.random((B, F)).astype(np.float32)
    name = npz(inputs=inputs, labels=LABELS, train=np.arange(2, B))
    dataset = load(DataRecipe(name, steps=T, encoding="latency"))
    low, high = inputs[2:].min(), inputs[2:].max()
    for split in (dataset.train, dataset.test):
        spikes = whole(split).inputs
        wanted = np.zeros_like(spikes)
        for row, sample in enumerate(split.where):
            for f in range(F):
                p = min(max((float(inputs[sample, f]) - float(low)) / float(high - low), 0), 1)
                if p > 0:
                    wanted[round((1 - p) * (T - 1)), row, f] = 1
        assert np.array_equal(spikes, wanted)
    assert whole(dataset.train).inputs.sum() == 18 * F - 1


@pytest.mark.parametrize("off", [False, True])
def test_a_rise_is_a_spike(off):
    name = npz(inputs=INPUTS, labels=LABELS, lengths=LENGTHS)
    dataset = load(DataRecipe(name, 9, "delta", options={"threshold": 0.2, "off": off}))
    assert dataset.train.features == (2 * F if off else F)
    batch = whole(dataset.train)
    wanted = np.zeros((9, 16, dataset.train.features))
    for row, sample in enumerate(dataset.train.where):
        for t in range(1, LENGTHS[sample]):
            for f in range(F):
                rise = INPUTS[t, sample, f] - INPUTS[t - 1, sample, f]
                wanted[t, row, f] = rise >= 0.2
                if off:
                    wanted[t, row, F + f] = rise <= -0.2
    assert np.array_equal(batch.inputs, wanted)


def test_steps_after_the_end_have_no_spike():
    dataset = load(DataRecipe("digits-cut", 10, "rate"))
    batch = whole(dataset.test)
    late = np.arange(10)[:, None] >= batch.lengths
    assert late.any()
    assert not batch.inputs[late].any()
    assert batch.inputs[~late].any()


def test_encodings_that_make_no_sense_are_refused():
    spikes = npz(spikes=SPIKES, labels=LABELS)
    for encoding in ("rate", "latency", "delta"):
        assert "encoding: expected current, as the samples are" in said(
            source=spikes, encoding=encoding
        )
    assert "encoding: expected latency for constant currents only, got sequences. " in said(
        source=npz("b.npz", inputs=INPUTS, labels=LABELS), encoding="latency"
    )
    flat = npz("c.npz", inputs=np.ones((B, F)), labels=LABELS)
    assert not whole(load(DataRecipe(flat, 4, "latency")).train).inputs.any()


# ---- yin-yang and randman


def test_yin_yang_is_that_of_its_authors():
    """The first points that they published, and their areas, for each of the three seeds."""
    dataset = load(DataRecipe("yin-yang", encoding="current"))
    parts = dataset.train, dataset.validation, dataset.test
    assert [len(part) for part in parts] == [5000, 1000, 1000]
    first = [
        [0.6803075385877797, 0.450499251969543],
        [0.6805727261759029, 0.3209733938933629],
        [0.23409664559563403, 0.4017249751828972],
    ]
    for part, point in zip(parts, first, strict=True):
        x, y, *mirrored = whole(part).inputs[0].T
        assert np.abs(mirrored - (1 - np.stack([x, y]))).max() < 1e-7
        assert np.hypot(x - 0.5, y - 0.5).max() <= 0.5
        assert (x[0], y[0]) == tuple(np.float32(point))
        shares = np.bincount(part.labels) / len(part)
        assert np.abs(shares - 1 / 3).max() < 0.05
    assert dataset.train.labels[:8].tolist() == [2, 1, 2, 1, 1, 1, 0, 2]
    assert dataset.test.labels[:8].tolist() == [2, 2, 1, 1, 1, 2, 2, 0]
    x, y, *_ = whole(dataset.train).inputs[0].T
    dots = np.minimum(np.hypot(x - 0.25, y - 0.5), np.hypot(x - 0.75, y - 0.5)) < 0.1
    assert np.array_equal(dots, dataset.train.labels == 2)
    yin, yang = ((dataset.train.labels == label) & ~dots for label in (0, 1))
    turned = set(zip((1 - x[yin]).round(1), (1 - y[yin]).round(1), strict=True))
    assert turned == set(zip(x[yang].round(1), y[yang].round(1), strict=True))


@pytest.mark.parametrize(("late", "bias"), [(0, False), (20, True)])
def test_yin_yang_spikes_later_where_it_is_larger(late, bias):
    options = {"late": late, "bias": bias, "size": 50}
    spikes = whole(load(DataRecipe("yin-yang", options=options)).train).inputs
    values = whole(load(DataRecipe("yin-yang", encoding="current", options=options)).train).inputs
    assert spikes.shape == (30, 50, 5 if bias else 4)
    assert (spikes.sum(axis=0) == 1).all()
    times = spikes.argmax(axis=0)
    assert np.abs(times[:, :4] - values[0, :, :4] * (late or 29)).max() <= 0.5 + 1e-5
    if bias:
        assert not times[:, 4].any()
        assert (values[0, :, 4] == 1).all()


@pytest.mark.parametrize(("dim", "alpha", "window"), [(1, 1.0, 7), (2, 2.0, 0)])
def test_randman_is_its_formula(dim, alpha, window):
    classes, units, samples, steps = 2, 3, 10, 11
    options = {"classes": classes, "units": units, "dim": dim, "alpha": alpha, "samples": samples}
    options |= {"window": window} if window else {}
    wide = window or steps
    dataset = load(DataRecipe("randman", steps, options={**options, "seed": 5}))
    random, last = np.random.default_rng(5), {1.0: 1000, 2.0: 32}[alpha]
    assert [len(dataset.train), len(dataset.test)] == [16, 4]
    got = {0: whole(dataset.train), 1: whole(dataset.test)}
    assert all((batch.inputs.sum(axis=0) == 1).all() for batch in got.values())
    for label in range(classes):
        x = random.random((samples, dim))
        values = np.ones((samples, units))
        for unit in range(units):
            for j in range(dim):
                a, b, c = random.random((3, last))
                for sample in range(samples):
                    values[sample, unit] *= sum(
                        (k + 1) ** -alpha * a[k]
                        * math.sin(2 * math.pi * ((k + 1) * x[sample, j] * b[k] + c[k]))
                        for k in range(last)
                    )  # fmt: skip
        low, high = values.min(axis=0), values.max(axis=0)
        wanted = np.minimum(np.floor(wide * (values - low) / (high - low)), wide - 1)
        times = [batch.inputs[:, batch.labels == label].argmax(axis=0) for batch in got.values()]
        assert np.array_equal(np.concatenate(times), wanted)


def test_randman_that_does_not_fit_is_refused():
    options = {"units": 10**5, "samples": 10**6}
    assert "samples: expected samples that fit into 4 GiB" in said(
        source="randman", options=options
    )


# ---- event sets


def heidelberg(path, samples, classes=20, seed=0):
    """A file in the layout of SHD: times in seconds, units, labels, and what tonic reads."""
    random = np.random.default_rng(seed)
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (samples,), h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (samples,), h5py.vlen_dtype(np.uint16))
        for sample in range(samples):
            times[sample] = np.sort(random.random(5 * sample)).astype(np.float16)
            units[sample] = random.integers(0, 700, 5 * sample)
        file["labels"] = random.permutation(samples).astype(np.uint16) % classes
        file["extra/keys"] = np.arange(classes)
        file["extra/speaker"] = np.zeros(samples, int)
    path.with_name(path.name + ".zip").write_bytes(b"")


def binned(samples, steps, sensor, dt, pool, counts):
    """Samples of events (t in microseconds, x, y, p), one by one, event by event."""
    width, height = math.ceil(sensor[0] / pool), math.ceil(sensor[1] / pool)
    out = np.zeros((steps, len(samples), width * height * sensor[2]))
    for row, sample in enumerate(samples):
        last = max((e[0] for e in sample), default=0)
        for t, x, y, p in sample:
            step = t // (1000 * dt) if dt else min(steps * t // last if last else 0, steps - 1)
            if step < steps:
                out[int(step), row, (p * height + y // pool) * width + x // pool] += 1
    return np.minimum(out, 255) if counts else out > 0


GRIDS = [
    {"dt": 0.0, "pool": 1, "counts": False},
    {"dt": 30.0, "pool": 1, "counts": False},
    {"dt": 0.0, "pool": 3, "counts": True},
    {"dt": 200.0, "pool": 7, "counts": True},
]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", ["shd", "ssc"])
def test_spoken_words_are_those_that_tonic_reads(here, name, grid):
    from tonic import datasets

    parts = {"train": "train", "test": "test", "validation": "valid"}
    upper = name.upper()
    for seed, part in enumerate(parts.values()):
        heidelberg(here / upper / f"{name}_{part}.h5", 9 - seed, 20, seed)
    dataset = load(DataRecipe(name, 11, folder=".", options=grid))
    assert dataset.classes == {"shd": 20, "ssc": 35}[name]
    for part, file in parts.items():
        split = getattr(dataset, part)
        if split is None:
            assert (name, part) == ("shd", "validation")
            continue
        given = {"train": part == "train"} if name == "shd" else {"split": file}
        read = [getattr(datasets, upper)(".", **given)[i] for i in range(len(split))]
        samples = [[(e["t"], e["x"], 0, 0) for e in found] for found, _ in read]
        wanted = binned(samples, 11, (700, 1, 1), **grid)
        assert np.array_equal(whole(split).inputs, wanted)
        assert split.labels.tolist() == [label for _, label in read]
    message = said(source=name, folder="elsewhere")
    assert message.startswith(f"folder: expected {upper}/{name}_train.h5 in it, got none in else")
    assert "https://zenkelab.org/datasets/" in message


def test_a_file_of_ones_own_may_have_that_layout(here):
    heidelberg(here / "own.h5", 20, 4)
    heidelberg(here / "test.h5", 6, 4, seed=1)
    assert source(DataRecipe("own.h5")).steps == 100
    dataset = load(DataRecipe("own.h5", 10, options={"dt": 50, "lengths": True, "pool": 100}))
    assert (len(dataset.train), len(dataset.test), dataset.train.features) == (16, 4, 7)
    inputs, _ = joined(dataset)
    lengths = np.concatenate([dataset.train.lengths, dataset.test.lengths])
    lengths = lengths[np.argsort(np.concatenate([dataset.train.where, dataset.test.where]))]
    for sample, length in enumerate(lengths):
        fired = inputs[:, sample].any(axis=1).nonzero()[0]
        assert length == (fired[-1] + 1 if len(fired) else 1)
    dataset = load(DataRecipe("own.h5", 10, test="test.h5"))
    assert (len(dataset.train), len(dataset.test)) == (20, 6)
    assert "expected dt beside it" in said(source="own.h5", options={"lengths": True})
    assert "pixels, units, polarities from 0 to 9, got" in said(
        source="own.h5", options={"units": 10}
    )
    assert "fit into 0.0001 GiB" in said(source="own.h5", steps=1000, memory=1e-4)


def nmnist(folder, counts):
    """The files of N-MNIST: five bytes an event, and a large time once."""
    random, samples = np.random.default_rng(0), {}
    for part, count in counts.items():
        for number in range(count):
            label = number % 3
            n = 40
            t = np.sort(random.integers(0, 2**18, n))
            x, y, p = (random.integers(0, end, n) for end in (34, 34, 2))
            raw = np.stack([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255], axis=1)
            path = folder / "NMNIST" / part / str(label) / f"{number:05}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw.astype(np.uint8).tobytes())
            samples[path] = list(zip(t.tolist(), x.tolist(), y.tolist(), p.tolist(), strict=True))
    return samples


@pytest.fixture
def alone(monkeypatch):
    """No download can begin."""
    from tonic import dataset

    def refused(*_, **__):
        raise AssertionError("a download")

    monkeypatch.setattr(dataset, "download_and_extract_archive", refused)
    monkeypatch.setattr("urllib.request.urlopen", refused)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("grid", GRIDS)
def test_moving_digits_are_read_from_their_files(here, grid):
    samples = nmnist(here, {"Train": 7, "Test": 3})
    dataset = load(DataRecipe("nmnist", 5, folder=str(here), options=grid))
    for split, part in ((dataset.train, "Train"), (dataset.test, "Test")):
        paths = sorted(path for path in samples if path.parts[-3] == part)
        wanted = binned([samples[path] for path in paths], 5, (34, 34, 2), **grid)
        assert np.array_equal(whole(split).inputs, wanted)
        assert split.labels.tolist() == [int(path.parent.name) for path in paths]
    assert dataset.classes == 10
    kind = Dense if grid["counts"] else Packed
    assert isinstance(dataset.train.store, kind)
    stored = dataset.train.store.array if grid["counts"] else dataset.train.store.bits
    assert stored.dtype == np.uint8


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("grid", GRIDS)
def test_gestures_are_read_from_their_files(here, grid):
    random, samples = np.random.default_rng(0), {}
    for part, user in (("Train", 1), ("Train", 2), ("Test", 3)):
        folder = here / "DVSGesture" / f"ibmGesture{part}" / f"user0{user}_lab"
        folder.mkdir(parents=True)
        for label in (0, 4, 10):
            x, y, p = (random.integers(0, end, 50) for end in (128, 128, 2))
            t = np.sort(random.integers(100, 900, 50))
            path = folder / f"{label}.npy"
            np.save(path, np.stack([x, y, p, t], axis=1))
            t = 1000 * (t - t.min())
            samples[path] = list(zip(*(v.tolist() for v in (t, x, y, p)), strict=True))
    dataset = load(DataRecipe("dvs-gesture", 5, folder=str(here), options=grid))
    for split, part in ((dataset.train, "ibmGestureTrain"), (dataset.test, "ibmGestureTest")):
        paths = sorted(path for path in samples if path.parts[-3] == part)
        wanted = binned([samples[path] for path in paths], 5, (128, 128, 2), **grid)
        assert np.array_equal(whole(split).inputs, wanted)
        assert split.labels.tolist() == [int(path.stem) for path in paths]
    assert dataset.classes == 11


@pytest.mark.usefixtures("alone")
def test_event_sets_that_are_damaged_or_not_there(here):
    assert "folder: expected NMNIST/Train in it" in said(source="nmnist", folder=str(here))
    samples = nmnist(here, {"Train": 7})
    (here / "NMNIST" / "Test").mkdir()
    assert "folder: expected files *.bin in" in said(source="nmnist", folder=str(here))
    nmnist(here, {"Test": 3})
    first = next(iter(samples))
    first.write_bytes(b"\x22\x00\x00\x00\x00")
    message = said(source="nmnist", folder=str(here))
    assert message.endswith("expected pixels, units, polarities from 0 to 33, got 34 to 34. "
                            "Check the file.")  # fmt: skip
    first.write_bytes(b"\x22\x00\x00")
    assert "expected a recording, got something else." in said(source="nmnist", folder=str(here))
    for part in ("Train", "Test"):
        path = here / "DVSGesture" / f"ibmGesture{part}" / "user01_lab" / "0.npy"
        path.parent.mkdir(parents=True)
        path.write_bytes(header((10**12, 4)))
    assert "expected a recording, got" in said(source="dvs-gesture", folder=str(here))


def test_counts_are_cut_at_what_a_byte_holds():
    grid = binning.Grid(1, (1, 1, 1), counts=True)
    collector = binning.Collector(grid, 1, DataRecipe())
    collector.put(0, np.zeros(300, int), 1, 0)
    assert collector.split().take([0]).inputs.item() == 255


def test_every_source_describes_itself():
    for name, known in SOURCES.items():
        assert known.name == name
        assert known.about.splitlines()[0].endswith((".", ":"))
        assert source(DataRecipe(name)) is known
        assert all(option.about for option in known.options)


def test_a_split_of_ones_own():
    split = Split(Dense(INPUTS), LABELS, steps=T)
    assert np.array_equal(split.take([3]).inputs, INPUTS[:, [3]])
