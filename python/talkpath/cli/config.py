"""`talkpath config`: what a C compiler must be told to use the C library that came with the package."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from talkpath import get_include, get_library_dir
from talkpath._clibrary import library_name
from talkpath.cli.console import refuse


def config(
    cflags: Annotated[bool, typer.Option("--cflags", help="What the compiler needs.")] = False,
    libs: Annotated[bool, typer.Option("--libs", help="What the linker needs; programs run at once.")] = False,
    pkgconfigdir: Annotated[bool, typer.Option("--pkgconfigdir", help="What PKG_CONFIG_PATH needs.")] = False,
) -> None:
    """Print flags for C programs: cc program.c $(talkpath config --cflags --libs)."""
    if not (cflags or libs or pkgconfigdir):
        refuse("nothing asked for, wanted --cflags, --libs or --pkgconfigdir")
    words = []
    if cflags:
        words.append(f"-I{get_include()}")
    if libs:
        folder = get_library_dir()
        words += [f"-L{folder}", f"-Wl,-rpath,{folder}", f"-l:{library_name()}"]
    if pkgconfigdir:
        words.append(str(Path(get_library_dir(), "pkgconfig")))
    typer.echo(shlex.join(words))
