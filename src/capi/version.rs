//! Which library this is, and what it was built with.

use std::ffi::{CStr, c_char};

use super::check;

/// The version of the library, such as "0.1.0"; a static text.
#[unsafe(no_mangle)]
pub extern "C" fn talkpath_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("a version without zero bytes"),
    };
    VERSION.as_ptr()
}

/// The version of the binary interface; a program compiled against a header with another
/// [`TALKPATH_ABI_VERSION`] must not go on.
#[unsafe(no_mangle)]
pub extern "C" fn talkpath_abi_version() -> u32 {
    TALKPATH_ABI_VERSION
}

/// Says whether the library was built with a feature, such as "g722" or "opus"; false for a name that it does not know, and
/// for NULL.
///
/// # Safety
/// `feature` must lead to a zero-ended text, or be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_has_feature(feature: *const c_char) -> bool {
    // SAFETY: as the caller promises.
    let name = unsafe { check::text("feature", feature) };
    let is_built_in = matches!(name, Ok("g711" | "g722" | "opus" | "vad" | "resampler"));
    is_built_in || cfg!(feature = "silero") && name.is_ok_and(|name| name == "silero")
}

/// The version of the binary interface that this header describes: it changes when a program must be compiled anew.
pub const TALKPATH_ABI_VERSION: u32 = 0;
