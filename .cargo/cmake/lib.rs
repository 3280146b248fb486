//! Builds the libopus that `audiopus_sys` brings along, with nothing but a C compiler.
//!
//! `audiopus_sys` compiles its libopus through the crate `cmake`, which needs the program CMake, and the CMake of today
//! refuses libopus' files for being too old. This crate stands in for it (`[patch.crates-io]` in Cargo.toml): it has the
//! one function that is called, reads libopus' own lists of sources, and hands them to `cc`. Who builds talkpath as a
//! dependency of another crate has no patch, and needs CMake or an installed libopus.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Builds the libopus in `path` and returns the folder in whose `lib` it lies; for build scripts.
///
/// # Panics
/// If `path` holds anything but libopus, or the C compiler fails.
pub fn build<P: AsRef<Path>>(path: P) -> PathBuf {
    let opus = path.as_ref();
    let lists = ["celt_sources.mk", "silk_sources.mk", "opus_sources.mk"].map(|list| {
        let list = opus.join(list);
        println!("cargo:rerun-if-changed={}", list.display());
        fs::read_to_string(&list)
            .unwrap_or_else(|error| panic!("{}: {error}; this `cmake` builds libopus and nothing else", list.display()))
    });
    let sources = |names: &[&str]| -> Vec<PathBuf> {
        names.iter().flat_map(|name| sources_of(&lists, name)).map(|source| opus.join(source)).collect()
    };

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("a build script has OUT_DIR"));
    let mut build = cc::Build::new();
    build
        .out_dir(out.join("lib"))
        .includes(["include", ".", "celt", "silk", "silk/float"].map(|folder| opus.join(folder)))
        // Fast in a debug build, too: it is not what is being debugged.
        .opt_level(2)
        .debug(false)
        .warnings(false)
        .define("OPUS_BUILD", None)
        .define("PACKAGE_VERSION", "\"1.3\"")
        .define("ENABLE_HARDENING", None)
        // Temporary arrays on the stack: nothing is allocated once a coder is made.
        .define("VAR_ARRAYS", None)
        .define("HAVE_LRINT", None)
        .define("HAVE_LRINTF", None)
        .define("_FORTIFY_SOURCE", "2")
        .flag_if_supported("-fstack-protector-strong")
        .flag_if_supported("-fvisibility=hidden")
        // The build script says what to link with.
        .cargo_metadata(false);
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64") {
        // Every x86-64 has SSE2; SSE4.1 is looked for at run time.
        for define in ["MAY_HAVE_SSE", "PRESUME_SSE", "MAY_HAVE_SSE2", "PRESUME_SSE2", "MAY_HAVE_SSE4_1"] {
            build.define(&format!("OPUS_X86_{define}"), None);
        }
        build.define("OPUS_HAVE_RTCD", None).define("CPU_INFO_BY_C", None);
        let newer = build
            .clone()
            .flag("-msse4.1")
            .files(sources(&["CELT_SOURCES_SSE4_1", "SILK_SOURCES_SSE4_1"]))
            .compile_intermediates();
        build.files(sources(&["CELT_SOURCES_SSE", "CELT_SOURCES_SSE2"])).objects(newer);
    }
    build.files(sources(&["CELT_SOURCES", "SILK_SOURCES", "SILK_SOURCES_FLOAT", "OPUS_SOURCES", "OPUS_SOURCES_FLOAT"]));
    build.compile("opus");
    out
}

/// The files that a list names: `NAME = \`, then one a line.
fn sources_of(lists: &[String], name: &str) -> Vec<String> {
    let lines = lists.iter().flat_map(|list| list.lines()).map(|line| line.trim().trim_end_matches('\\').trim_end());
    let begin = |line: &str| line.strip_suffix('=').is_some_and(|before| before.trim_end() == name);
    let sources: Vec<String> = lines
        .skip_while(|line| !begin(line))
        .skip(1)
        .take_while(|line| line.ends_with(".c"))
        .map(str::to_owned)
        .collect();
    assert!(!sources.is_empty(), "no {name} among libopus' lists of sources");
    sources
}
