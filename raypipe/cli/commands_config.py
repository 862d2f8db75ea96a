"""Commands about settings: are they right, what do they come to, what can be set."""

from pathlib import Path
from typing import Annotated

import typer

from raypipe.cli import options
from raypipe.cli.face import dump, show, write

SettingsFile = Annotated[Path, typer.Argument(metavar="FILE", help="A settings file.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    of_settings = typer.Typer(help="Settings files.", no_args_is_help=True, rich_markup_mode=None)
    of_settings.command("check")(check)
    of_settings.command("show")(show_settings)
    of_settings.command("schema")(schema)
    app.add_typer(of_settings, name="config")


def check(file: SettingsFile, sets: options.Sets = None, as_json: options.AsJson = False) -> None:
    """Say whether a settings file is right. If not, all that is wrong."""
    from raypipe.config.load import load

    config = load(file, sets or ())
    show("settings", config.name, as_json=as_json, text=lambda _: f"{file} is right.")


def show_settings(
    file: SettingsFile, sets: options.Sets = None, as_json: options.AsJson = False
) -> None:
    """Print every setting as a run would use it. YAML, defaults included."""
    from raypipe.config.load import load, to_json
    from raypipe.config.text import to_yaml

    config = to_json(load(file, sets or ()))
    show("settings", config, as_json=as_json, text=lambda data: to_yaml(data).rstrip())


def schema(as_json: options.AsJson = False) -> None:
    """Print the JSON schema of settings files. Every key, its bounds and help."""
    from raypipe.config.load import schema_json

    text = schema_json()
    write(dump({"event": "result", "schema": text, "error": None}) if as_json else text)
