//! Names the C library: `libtalkpath.so.0` is what programs that link it ask the loader for.

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    if std::env::var_os("CARGO_FEATURE_CAPI").is_some() {
        let major = std::env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default();
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libtalkpath.so.{major}");
    }
}
