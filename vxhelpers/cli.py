"""The command line ``vx``: thin commands over the package, errors in red without a traceback."""

import sys
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from vxhelpers.errors import VxError


class _Group(TyperGroup):
    """A group of commands that shows an error of ours as one red text and exits with 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except VxError as error:
            console = Console(stderr=True, soft_wrap=True)
            console.print(f"error: {error}", style="red", markup=False, highlight=False)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="vx",
    cls=_Group,
    help="Explain what video action-recognition networks look at.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
data = typer.Typer(
    help="List, scan, verify and render the data that manifests describe.", no_args_is_help=True
)
app.add_typer(data, name="data")


@app.callback()
def main() -> None:
    """Explain what video action-recognition networks look at."""


if __name__ == "__main__":
    sys.exit(app())
