#!/bin/sh
# Builds the C library and installs it under a prefix: libtalkpath.so and .a, talkpath.h, talkpath.pc.
#
#   include/install.sh /usr/local
#
# DESTDIR goes before the prefix, for packagers. Needs Rust and a C compiler.
set -eu
[ $# -eq 1 ] && [ "${1#/}" != "$1" ] || { echo "usage: include/install.sh PREFIX, an absolute path" >&2; exit 2; }
prefix=$1
root=${DESTDIR:-}$prefix
cd "$(dirname "$0")/.."

# Apart: both write a file of the same name beside it, and together they would lose link-time optimisation.
for kind in cdylib staticlib; do
    cargo rustc --locked --release --lib --features capi --crate-type "$kind" --target-dir "target/capi/$kind"
done

# What debuggers of Rust would read is most of both files.
strip --strip-unneeded target/capi/cdylib/release/libtalkpath.so
strip --strip-debug target/capi/staticlib/release/libtalkpath.a

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
major=${version%%.*}
mkdir -p "$root/lib/pkgconfig" "$root/include"
install -m 644 include/talkpath.h "$root/include/talkpath.h"
install -m 644 target/capi/staticlib/release/libtalkpath.a "$root/lib/libtalkpath.a"
install -m 755 target/capi/cdylib/release/libtalkpath.so "$root/lib/libtalkpath.so.$version"
ln -sf "libtalkpath.so.$version" "$root/lib/libtalkpath.so.$major"
ln -sf "libtalkpath.so.$major" "$root/lib/libtalkpath.so"
cat > "$root/lib/pkgconfig/talkpath.pc" << EOT
prefix=$prefix
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: talkpath
Description: An audio core for voice agents
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -ltalkpath
Libs.private: -lpthread -lm -ldl -lgcc_s -lc
EOT
echo "installed talkpath $version under $root"
