"""``python -m trioframe``: the command, where it is not on the path."""

from .cli import main

main(prog_name="trioframe")
