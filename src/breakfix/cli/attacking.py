"""`breakfix redteam` and `breakfix findings`: where does it break."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
