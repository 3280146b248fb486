#!/bin/sh
# Builds the C library and installs it under a prefix: libtalkpath.so and .a, talkpath.h, talkpath.pc.
#
#   include/install.sh /usr/local
#
# DESTDIR goes before the prefix, for packagers; CARGO_TARGET_DIR, CARGO_BUILD_TARGET and CC are heeded. Needs Rust 1.88
# or later and a C compiler; without a network, the crates in cargo's own store.
set -eu
[ $# -eq 1 ] && [ "${1#/}" != "$1" ] || { echo "usage: include/install.sh PREFIX, an absolute path" >&2; exit 2; }
prefix=$1
root=${DESTDIR:-}$prefix
cc=${CC:-cc}
cd "$(dirname "$0")/.."

need() { # need PROGRAM WHAT-IT-IS
    command -v "$1" > /dev/null || { echo "include/install.sh: $1 not found, wanted $2" >&2; exit 1; }
}
need cargo 'Rust 1.88 or later (https://rustup.rs)'
need "${cc%% *}" 'a C compiler'
need strip 'the binutils of the C compiler'

# One build for both: the shared library is linked from the static one, whose dependencies are compiled once for it and for
# Python's module. Built as a cdylib it would take the file of that module's.
target=${CARGO_TARGET_DIR:-target}
cargo rustc --locked --release --lib --features capi --crate-type staticlib --target-dir "$target"
built=$target/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release
out=$built/capi
mkdir -p "$out"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
soname=libtalkpath.so.$(sed -n 's/^#define TALKPATH_ABI_VERSION //p' include/talkpath.h)
echo '{ global: talkpath_*; local: *; };' > "$out/exports"
# shellcheck disable=SC2086 # CC may hold options, too.
$cc -shared -o "$out/libtalkpath.so" -Wl,-soname,"$soname" -Wl,--version-script="$out/exports" -Wl,--gc-sections \
    -Wl,-O1 -Wl,--as-needed -Wl,-z,relro,-z,now,-z,defs \
    -Wl,--whole-archive "$built/libtalkpath.a" -Wl,--no-whole-archive -lgcc_s -lpthread -lm -ldl -lc
# What debuggers of Rust would read is most of both files.
strip --strip-unneeded "$out/libtalkpath.so"
strip --strip-debug -o "$out/libtalkpath.a" "$built/libtalkpath.a"

mkdir -p "$root/lib/pkgconfig" "$root/include"
install -m 644 include/talkpath.h "$root/include/talkpath.h"
install -m 644 "$out/libtalkpath.a" "$root/lib/libtalkpath.a"
install -m 755 "$out/libtalkpath.so" "$root/lib/libtalkpath.so.$version"
ln -sf "libtalkpath.so.$version" "$root/lib/$soname"
ln -sf "$soname" "$root/lib/libtalkpath.so"
cat > "$root/lib/pkgconfig/talkpath.pc" << EOT
prefix=$(printf %s "$prefix" | sed 's/ /\\ /g')
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: talkpath
Description: An audio core for voice agents
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -ltalkpath
Libs.private: -lgcc_s -lpthread -lm -ldl -lc
EOT
echo "installed talkpath $version under $root"
