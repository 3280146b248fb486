#!/bin/sh
# Builds Asterisk modules that use talkpath, against an installed libtalkpath (pkg-config) and Asterisk's headers.
#
#   examples/asterisk/build.sh                         all of them
#   examples/asterisk/build.sh app_talkpath            those that are named
#
# What it makes goes to OUT (default: build/ in this folder): MODULE.so, and MODULE-en_US.xml, the documentation that
# Asterisk's command line shows. ASTERISK_INCLUDE is the folder of asterisk.h (default: /usr/include), PKG_CONFIG_PATH
# leads to a talkpath.pc that is not where pkg-config looks, CC and CFLAGS are as everywhere.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-$here/build}
include=${ASTERISK_INCLUDE:-/usr/include}
cc=${CC:-cc}

[ -e "$include/asterisk.h" ] || {
    echo "no asterisk.h in $include: install asterisk-dev, or set ASTERISK_INCLUDE" >&2
    exit 1
}
pkg-config --exists talkpath || {
    echo "pkg-config finds no talkpath: run include/install.sh PREFIX, and set PKG_CONFIG_PATH=PREFIX/lib/pkgconfig" >&2
    exit 1
}
if [ $# -eq 0 ]; then
    for source in "$here"/*_talkpath.c; do
        set -- "$@" "$(basename "$source" .c)"
    done
fi

eval "libraries=$(pkg-config --variable=libdir talkpath)" # quoted, too
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here" # so that Asterisk's log names files, not this machine's folders
for module; do
    [ -e "$module.c" ] || { echo "no $module.c in $here" >&2; exit 1; }
    set -- "$module.c"
    for part in "$module"/*.c; do # of a module that is more than one file
        [ -e "$part" ] && set -- "$@" "$part"
    done
    # pkg-config quotes what the shell would take apart.
    eval "set -- \"\$@\" $(pkg-config --cflags --libs talkpath)"
    # shellcheck disable=SC2086 # flags are words
    "$cc" -std=gnu11 -O2 -g -fPIC -fvisibility=hidden -Wall -Wextra -D_GNU_SOURCE ${CFLAGS:-} \
        "-DAST_MODULE=\"$module\"" "-DAST_MODULE_SELF_SYM=__internal_${module}_self" -isystem "$include" -I. \
        -shared -o "$out/$module.so" "$@" -lm "-Wl,-rpath,$libraries" -Wl,-z,relro,-z,now
    # Asterisk reads documentation from files alone; ours stands in the source, as that of Asterisk's own modules does.
    {
        printf '%s\n' '<?xml version="1.0" encoding="UTF-8"?>' '<!DOCTYPE docs SYSTEM "appdocsxml.dtd">' \
            '<docs xmlns:xi="http://www.w3.org/2001/XInclude">'
        sed -n '/^\/\*\*\* DOCUMENTATION/,/\*\*\*\//{/^\/\*\*\* DOCUMENTATION/d;/\*\*\*\//d;p;}' "$module.c"
        echo '</docs>'
    } > "$out/$module-en_US.xml"
    echo "$out/$module.so"
done
