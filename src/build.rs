//! Names the C library, and says whether the compiler has AVX-512's intrinsics.
//!
//! `libtalkpath.so.0` is what programs that link the C library ask the loader for. `cfg(talkpath_avx512)` is set from
//! Rust 1.89 on, one release above the oldest that talkpath takes.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    println!("cargo::rustc-check-cfg=cfg(talkpath_avx512)");
    if rustc_minor().is_some_and(|minor| minor >= 89) {
        println!("cargo::rustc-cfg=talkpath_avx512");
    }
    if std::env::var_os("CARGO_FEATURE_CAPI").is_some() {
        println!("cargo::rerun-if-changed=src/capi/version.rs");
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libtalkpath.so.{}", abi_version());
    }
}

/// What `TALKPATH_ABI_VERSION` is set to.
fn abi_version() -> &'static str {
    let source = include_str!("capi/version.rs");
    let number = source.split("TALKPATH_ABI_VERSION: u32 = ").nth(1).and_then(|rest| rest.split(';').next());
    number.expect("src/capi/version.rs sets TALKPATH_ABI_VERSION")
}

/// The 95 of `rustc 1.95.0 (…)`; none if the compiler does not say, which leaves AVX-512 out.
fn rustc_minor() -> Option<u32> {
    let output = Command::new(std::env::var_os("RUSTC")?).arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    version.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()
}
