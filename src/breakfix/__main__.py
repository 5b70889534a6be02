"""Run the command line as `python -m breakfix`."""

from breakfix.cli.main import main

main()
