"""What the workbench says when something is wrong."""


class InputError(Exception):
    """A mistake of the user: `<argument>: expected <rule>, got <what>. <one fix>`."""

    def __init__(self, argument: object, rule: str, got: object, fix: str) -> None:
        super().__init__(str(argument), rule, str(got), fix)  # so that it can be pickled

    @classmethod
    def of(cls, error: Exception) -> "InputError":
        """What the library has refused, as a mistake in the input."""
        argument, _, rest = str(error).partition(": expected ")
        rule, _, rest = rest.partition(", got ")
        got, _, fix = rest.partition(". ")
        return cls(argument, rule, got, fix)

    def __str__(self) -> str:
        argument, rule, got, fix = self.args
        return f"{argument}: expected {rule}, got {got}. {fix}"


class TrainingError(Exception):
    """A training that stopped although its input was right."""


class ProcessLostError(Exception):
    """Another process of a training is gone."""


def printable(text: str) -> str:
    """Text in one line that a terminal shows and does not obey: escape codes are spelled out."""
    words = " ".join(text.split())
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in words)
