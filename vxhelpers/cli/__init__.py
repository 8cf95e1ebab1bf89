"""The command line ``vx``: thin commands over the package, errors in red without a traceback."""

from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from vxhelpers.cli import benchmark, book, concepts, data, models, results
from vxhelpers.errors import InputError, VxError

RENAMED = {"evidence": "benchmark"}  # commands of earlier versions


class _Group(TyperGroup):
    """A group of commands that shows an error of ours as one red text and exits with 1."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in RENAMED:
            raise InputError(f"vx {args[0]} was renamed to vx {RENAMED[args[0]]}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except VxError as error:
            text = f"error: {error}"
            Console(stderr=True).print(
                text, style="red", markup=False, highlight=False, soft_wrap=True
            )
            raise typer.Exit(1) from error


app = typer.Typer(
    name="vx",
    cls=_Group,
    help="Explain what video action-recognition networks look at.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(data.app, name="data")
app.add_typer(concepts.app, name="concepts")
for command in (
    models.models,
    models.train,
    models.evaluate,
    book.run,
    book.book,
    book.pair,
    benchmark.benchmark,
    results.results,
    results.plan,
):
    app.command()(command)


@app.callback()
def main() -> None:
    """Explain what video action-recognition networks look at."""
