"""`python -m spikeloss` is the command `spikeloss`."""

from .cli import main

main()
