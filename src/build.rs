//! Names the C library, says whether the compiler has AVX-512's intrinsics, and compiles `talkpath-guard`.
//!
//! `libtalkpath.so.0` is what programs that link the C library ask the loader for. `cfg(talkpath_avx512)` is set from
//! Rust 1.89 on, one release above the oldest that talkpath takes. The guard is a program of its own, compiled here so that
//! the library carries it inside itself and nobody has to find it; it needs the standard library alone.

use std::path::Path;
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
    compile_guard();
}

/// Compiles the guard for the target, small, into the build's output directory.
fn compile_guard() {
    for source in ["src/system/process/guard", "src/system/process/wire.rs"] {
        println!("cargo::rerun-if-changed={source}");
    }
    let variable = |name: &str| std::env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"));
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["--edition", "2024", "--crate-type", "bin", "--crate-name", "talkpath_guard", "--cap-lints", "warn"]);
    rustc.args(["-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols", "-Ccodegen-units=1", "-Clto=fat"]);
    rustc.arg("--target").arg(variable("TARGET"));
    if let Some(linker) = std::env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("-Clinker=");
        option.push(linker);
        rustc.arg(option);
    }
    rustc.arg("-o").arg(Path::new(&variable("OUT_DIR")).join("talkpath-guard"));
    let status = rustc.arg("src/system/process/guard/main.rs").status();
    assert!(status.as_ref().is_ok_and(std::process::ExitStatus::success), "compiling talkpath-guard: {status:?}");
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
