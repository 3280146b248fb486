"""No secret and no key ever comes from the environment: not in the sources, and not when they run.

A library that is loaded before all others notes every name that is asked for by `getenv`, which Rust's standard library
calls too; Python's own copy, `os.environ`, is replaced by one that notes as well.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from talkpath.secret import SecretStore

ROOT = Path(__file__).parents[2]

SOURCES = [
    *sorted((ROOT / "src/system/secret").rglob("*.rs")),
    ROOT / "src/python/secret.rs",
    ROOT / "python/talkpath/secret.py",
    ROOT / "python/talkpath/cli/secret.py",
]

NAMES = [
    "ANTHROPIC_API_KEY", "API_KEY", "ASTERISK_ARI_PASSWORD", "AWS_SECRET_ACCESS_KEY", "DEEPGRAM_API_KEY", "KEY",
    "OPENAI_API_KEY", "PASSWORD", "PROVIDER_KEY", "SECRET", "TOKEN",
    "AGE_IDENTITY", "AGE_KEY", "AGE_PASSPHRASE", "AGE_SECRET_KEY", "SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE",
    "TALKPATH_IDENTITY", "TALKPATH_KEY", "TALKPATH_MASTER_KEY", "TALKPATH_PASSPHRASE", "TALKPATH_PROVIDER_KEY",
    "TALKPATH_SECRET", "TALKPATH_SECRETS", "TALKPATH_SECRET_KEY", "TALKPATH_SECRET_STORE", "TALKPATH_STORE",
]  # fmt: skip

WATCH = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static char *noted(const char *function, const char *name) {
    int file = open("getenv.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file >= 0) {
        (void)!write(file, name, strlen(name));
        (void)!write(file, "\\n", 1);
        close(file);
    }
    char *(*real)(const char *) = (char *(*)(const char *))dlsym(RTLD_NEXT, function);
    return real(name);
}
char *getenv(const char *name) { return noted("getenv", name); }
char *secure_getenv(const char *name) { return noted("secure_getenv", name); }
"""

PROGRAM = """
import os, sys

class Noting(type(os.environ)):
    def __getitem__(self, name):
        with open("environ.log", "a") as log:
            log.write(name + chr(10))
        return super().__getitem__(name)

os.environ.__class__ = Noting
import talkpath
from talkpath.secret import SecretStore

path, source, *names = sys.argv[1:]
os.environ.get("CONTROL")
for sources in ([], ["file:/nowhere"], ["file:/nowhere", "keyring:talkpath-none"], [source, "systemd:none"]):
    try:
        store = SecretStore.open(path, source=sources)
    except talkpath.AccessDenied as error:
        assert "canary" not in str(error), error
        assert source not in sources
for name in names:
    assert name not in store
    try:
        store[name]
    except KeyError as error:
        assert "canary" not in str(error), error
try:
    SecretStore.open(path, source="systemd:none")
except talkpath.AccessDenied:
    pass
"""


def test_the_sources_read_one_variable_alone() -> None:
    reads = re.compile(r"env::|\bvars?_os\b|getenv|environ\b|expandvars|envvar|dotenv|option_env!|\benv!")
    found = {}
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        code = [
            re.sub(r"^\s*(//|#).*", "", line) for line in re.sub(r'""".*?"""', "", text, flags=re.DOTALL).splitlines()
        ]
        found[source.name] = [line.strip() for line in code if reads.search(line)]
    assert len(found) > 15
    assert found.pop("systemd.rs") == [
        'let directory = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty()).ok_or_else(|| {'
    ]
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_nothing_is_asked_of_the_environment_when_it_runs(tmp_path: Path) -> None:
    (tmp_path / "watch.c").write_text(WATCH)
    watch = tmp_path / "watch.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", watch, tmp_path / "watch.c", "-ldl"], timeout=60, check=True)
    store, source = tmp_path / "secrets.age", f"file:{tmp_path / 'key'}"
    SecretStore.create(store, source=source).set("SET", bytearray(b"value"))
    key = (tmp_path / "key").read_text().strip()
    variables = {name: key if "KEY" in name or "IDENTITY" in name else "canary" for name in NAMES}
    environment = {**os.environ, **variables, "LD_PRELOAD": str(watch)}

    command = [sys.executable, "-c", PROGRAM, str(store), source, *NAMES]
    subprocess.run(command, env=environment, cwd=tmp_path, timeout=60, check=True)
    cli = [sys.executable, "-m", "talkpath", "secret", "list", "--store", str(store)]
    unasked = subprocess.run(cli, env=environment, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert unasked.returncode == 2
    assert b"Missing option '--key'" in unasked.stderr
    opened = subprocess.run([*cli, "--key", source], env=environment, cwd=tmp_path, capture_output=True, timeout=60)
    assert opened.returncode == 0, opened.stderr

    asked = set((tmp_path / "getenv.log").read_text().split())
    noted = set((tmp_path / "environ.log").read_text().split())
    assert "CREDENTIALS_DIRECTORY" in asked, "the watch itself: asked for systemd:none"
    assert "CONTROL" in noted, "the watch itself"
    assert (asked | noted) & set(NAMES) == set()
