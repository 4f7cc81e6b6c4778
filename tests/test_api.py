"""No public name, argument or default changes unseen: CONTRIBUTING.md says how one may."""

import api


def test_public_names_and_signatures_are_those_of_the_file() -> None:
    before, now = api.FILE.read_text().splitlines(), api.text().splitlines()
    changes = [f"- {line}" for line in before if line not in set(now)]
    changes += [f"+ {line}" for line in now if line not in set(before)]
    how = "If that is meant, write the file anew with: python tests/api.py"
    assert before == now, "\n".join(["The public names are others:", *changes[:40], how])


def test_a_changed_argument_is_seen() -> None:
    def loss(record, *, tau: float = 2.0) -> float:  # type: ignore[no-untyped-def]
        return tau

    assert api.signature(loss) == "(record, *, tau=2.0)"
    assert "  effective_number(counts, *, beta=0.999)" in list(api.described("spikeloss.balance"))
