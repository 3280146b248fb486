"""Builds talkpath's distributions by maturin, and puts the C library into its wheels.

Python's module and the C library are two libraries of one crate, and maturin builds one of them. The other comes from
`include/install.sh`, as it does for C programmers: one build of the dependencies serves both. A wheel cannot hold
symbolic links, so there is one library, named by its soname. Maturin alone (`maturin build`,
`maturin develop`) makes a package without the C library; `talkpath.get_library_dir()` then says so.
"""

import base64
import hashlib
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import maturin  # type: ignore[import-not-found, unused-ignore]
from maturin import (
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

_ROOT: Final = Path(__file__).resolve().parents[2]
_PACKAGE: Final = "talkpath"
_Settings = Mapping[str, Any] | None


def build_wheel(wheel_directory: str, config_settings: _Settings = None, metadata_directory: str | None = None) -> str:
    """Builds a wheel that holds Python's module, and the C library beside it."""
    files = _build_c_library()
    name: str = maturin.build_wheel(wheel_directory, config_settings, metadata_directory)
    _add(Path(wheel_directory, name), {f"{_PACKAGE}/{path}": content for path, content in files.items()})
    return name


def build_editable(
    wheel_directory: str, config_settings: _Settings = None, metadata_directory: str | None = None
) -> str:
    """Builds both in place: the C library lies in the source tree, where Python's module lies, too."""
    for path, content in _build_c_library().items():
        file = _ROOT / "python" / _PACKAGE / path
        file.parent.mkdir(parents=True, exist_ok=True)
        # Not over the file that a running program has mapped.
        file.unlink(missing_ok=True)
        file.write_bytes(content)
    name: str = maturin.build_editable(wheel_directory, config_settings, metadata_directory)
    return name


def _build_c_library() -> dict[str, bytes]:
    """Returns what the package holds for C programs, by its path in the package."""
    with tempfile.TemporaryDirectory() as prefix:
        # By its shell: a source distribution keeps no permissions.
        subprocess.run(["sh", _ROOT / "include" / "install.sh", prefix], check=True)
        library = Path(prefix, "lib", "libtalkpath.so")
        description = Path(prefix, "lib", "pkgconfig", "talkpath.pc").read_text(encoding="utf-8")
        soname = library.readlink().name
        return {
            "include/talkpath.h": Path(prefix, "include", "talkpath.h").read_bytes(),
            f"lib/{soname}": library.read_bytes(),
            "lib/pkgconfig/talkpath.pc": _relocatable(description, soname).encode(),
        }


def _relocatable(description: str, soname: str) -> str:
    """Makes pkg-config find the files wherever the package lies, and programs find the library when they run."""
    lines = {
        "prefix=": "prefix=${pcfiledir}/../..",
        "Libs:": f"Libs: -L${{libdir}} -Wl,-rpath,${{libdir}} -l:{soname}",
        "Libs.private:": None,
    }
    kept = []
    for line in description.splitlines():
        matching = [start for start in lines if line.startswith(start)]
        changed = lines[matching[0]] if matching else line
        if changed is not None:
            kept.append(changed)
    return "\n".join(kept) + "\n"


def _add(wheel: Path, files: Mapping[str, bytes]) -> None:
    """Adds files to a wheel, and to its list of files."""
    changed = wheel.with_suffix(".part")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        (record,) = (entry for entry in old.infolist() if entry.filename.endswith(".dist-info/RECORD"))
        for entry in old.infolist():
            if entry is not record and entry.filename not in files:
                new.writestr(entry, old.read(entry))
        listed = [
            line for line in old.read(record).decode().splitlines() if line.partition(",")[0] not in files and line
        ]
        for path, content in files.items():
            # The date of the other files: the same source makes the same wheel.
            entry = zipfile.ZipInfo(path, record.date_time)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if ".so." in path else 0o100644) << 16
            new.writestr(entry, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            listed.append(f"{path},sha256={digest},{len(content)}")
        new.writestr(record, "\n".join(listed) + "\n")
    shutil.move(changed, wheel)
