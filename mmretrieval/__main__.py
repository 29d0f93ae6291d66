"""So that `python -m mmretrieval` is the command line."""

from mmretrieval.cli import main

main()
