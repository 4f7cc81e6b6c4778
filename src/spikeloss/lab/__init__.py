"""The workbench: train the same spiking network once per objective, and say which does what.

    recipe, objectives, seeds -> training.fit -> Run -> store.Folder -> summary -> report

`objectives`, `score` and `metrics` need NumPy only; `data`, `network`, `training`, `compare`,
`plots` and `report` need the extra: pip install "spikeloss[lab]".
"""
