"""The command line, one file a command: it parses words, calls the package and prints; it ranks nothing itself.

Results go to stdout, as tab-separated lines or, with --json, as one object; everything else goes to stderr.
"""

from mmretrieval.cli.entry import main

__all__ = ["main"]
