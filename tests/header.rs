//! `include/talkpath.h` is what the source of the C library says, word for word, and `tests/c/abi.txt` what a compiler
//! makes of it.
//!
//! `TALKPATH_BLESS=1 cargo test --test header` writes both anew, but for what would break programs: that wants a raised
//! `TALKPATH_ABI_VERSION`.

#[path = "header/abi.rs"]
mod abi;

use std::path::{Path, PathBuf};

#[test]
fn the_header_is_generated_from_the_source() {
    compare_or_bless("include/talkpath.h", &header());
}

#[test]
fn the_binary_interface_changes_only_on_purpose() {
    let interface = abi::describe(&header());
    let committed = std::fs::read_to_string(at("tests/c/abi.txt")).unwrap_or_default();
    let broken = abi::breaks(&committed, &interface);
    assert!(
        broken.is_empty(),
        "programs compiled with the last header would break: undo this, or raise TALKPATH_ABI_VERSION in \
         src/capi/version.rs\n{}",
        broken.join("\n")
    );
    compare_or_bless("tests/c/abi.txt", &interface);
}

fn header() -> String {
    let root = at("");
    let config = cbindgen::Config::from_file(at("include/cbindgen.toml")).expect("a configuration");
    let mut builder = cbindgen::Builder::new().with_config(config);
    // In the order in which a reader meets them.
    for file in ["status", "version", "g711", "level", "codec", "opus", "resampler", "vad", "speech_gate", "jitter"] {
        builder = builder.with_src(root.join(format!("src/capi/{file}.rs")));
    }
    for file in ["session_config", "receipt", "event", "agent", "session", "server", "audiosocket", "bus", "process"] {
        builder = builder.with_src(root.join(format!("src/capi/{file}.rs")));
    }
    let mut generated = Vec::new();
    builder.generate().expect("a header").write(&mut generated);
    without_links(&String::from_utf8(generated).expect("UTF-8"))
}

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn compare_or_bless(path: &str, generated: &str) {
    if std::env::var_os("TALKPATH_BLESS").is_some() {
        std::fs::write(at(path), generated).expect("a place to write to");
    }
    let committed = std::fs::read_to_string(at(path)).unwrap_or_default();
    assert!(generated == committed, "{path} is not up to date: TALKPATH_BLESS=1 cargo test --test header");
}

/// Rust's links between documents mean nothing in C: `[`name`](path)` and `[`name`]` become `name`.
fn without_links(header: &str) -> String {
    let mut out = String::with_capacity(header.len());
    let mut rest = header;
    while let Some((before, after)) = rest.split_once("[`") {
        out.push_str(before);
        let (name, after) = after.split_once("`]").expect("a link ends");
        out.push_str(name);
        let path = after.strip_prefix('(').and_then(|path| path.split_once(')'));
        rest = path.map_or(after, |(_, after)| after);
    }
    out + rest
}
