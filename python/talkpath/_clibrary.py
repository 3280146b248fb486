"""Where the C library lies that came with the package: a header, a library and a file for pkg-config.

The wheel carries them (`python/backend`), so that C programs need nothing but `pip install talkpath`. Python's own
module does not use them.
"""

from importlib.resources import files
from pathlib import Path

from talkpath.errors import TalkpathOSError


def get_include() -> str:
    """Returns the folder that holds `talkpath.h`, for a C compiler's `-I`.

    Raises `TalkpathOSError` if the package was installed without the C library, as `maturin develop` does.
    """
    return str(_folder_of("include", "talkpath.h"))


def get_library_dir() -> str:
    """Returns the folder that holds the C library, for `-L` and `-Wl,-rpath`.

    Its only name there is `libtalkpath.so.0`, as a wheel holds no symbolic links: link with `-l:libtalkpath.so.0`, or
    with what `talkpath config --libs` prints.

    Raises `TalkpathOSError` if the package was installed without the C library, as `maturin develop` does.
    """
    return str(_folder_of("lib", "libtalkpath.so.*"))


def library_name() -> str:
    """Returns the name of the C library in `get_library_dir()`: its soname."""
    return next(Path(get_library_dir()).glob("libtalkpath.so.*")).name


def _folder_of(name: str, content: str) -> Path:
    folder = Path(str(files("talkpath"))) / name
    if not any(folder.glob(content)):
        raise TalkpathOSError(
            f"no {content} in {folder}: this talkpath was installed without its C library, wanted one installed by pip"
        )
    return folder
