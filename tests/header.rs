//! `include/talkpath.h` is what the source of the C library says, word for word.
//!
//! `TALKPATH_BLESS=1 cargo test --test header` writes it anew.

use std::path::Path;

#[test]
fn the_header_is_generated_from_the_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("include/cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    // In the order in which a reader meets them.
    for file in ["status", "version", "g711", "level", "codec", "resampler", "vad", "jitter"] {
        builder = builder.with_src(root.join(format!("src/capi/{file}.rs")));
    }
    for file in ["session_config", "receipt", "event", "agent", "session", "server", "audiosocket"] {
        builder = builder.with_src(root.join(format!("src/capi/{file}.rs")));
    }
    let mut generated = Vec::new();
    builder.generate().unwrap().write(&mut generated);
    let generated = without_links(&String::from_utf8(generated).unwrap());
    let path = root.join("include/talkpath.h");
    if std::env::var_os("TALKPATH_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(generated == committed, "include/talkpath.h is not up to date: TALKPATH_BLESS=1 cargo test --test header");
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
