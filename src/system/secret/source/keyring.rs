//! A key in the Linux kernel's own keyring: in the kernel's memory, for our user's processes, until the machine stops.
//!
//! keyrings(7), keyctl(2). It is the user's keyring (`@u`), which all sessions and services of one user share. Three system
//! calls need no library.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_long};

use nix::errno::Errno;

use crate::system::secret::vault::{Place, Vault};
use crate::{Error, ErrorKind, Result};

/// Reads the key's payload.
pub(super) fn read(name: &str) -> Result<Place> {
    let description = description(name)?;
    let key = search(&description).map_err(|errno| refused(name, "looking for it", errno))?;
    let mut place = Vault::current()?.place(MAX_PAYLOAD_BYTES)?;
    // SAFETY: KEYCTL_READ writes at most as many bytes as it is told to `place`, which is that long and ours.
    let len = Errno::result(unsafe {
        libc::syscall(libc::SYS_keyctl, c_long::from(libc::KEYCTL_READ), key, place.as_mut_ptr(), place.len())
    });
    let len = len.map_err(|errno| refused(name, "reading it", errno))?;
    match usize::try_from(len) {
        Ok(len) if len <= place.len() => place.truncate(len),
        _ => return Err(Error::new(ErrorKind::AccessDenied, "it is too long to be a key")),
    }
    Ok(place)
}

/// Puts a new key there; one of that name is left and refused.
pub(super) fn create(name: &str, payload: &[u8]) -> Result<()> {
    let description = description(name)?;
    match search(&description) {
        Ok(_) => return Err(Error::new(ErrorKind::AccessDenied, format!("the keyring has a key {name:?} already"))),
        Err(Errno::ENOKEY) => {}
        Err(errno) => return Err(refused(name, "looking for it", errno)),
    }
    // SAFETY: add_key reads two strings ended by zero, and as many bytes of `payload` as it is told.
    let added = Errno::result(unsafe {
        libc::syscall(
            libc::SYS_add_key,
            KEY_TYPE.as_ptr(),
            description.as_ptr(),
            payload.as_ptr(),
            payload.len(),
            c_long::from(libc::KEY_SPEC_USER_KEYRING),
        )
    });
    added.map(drop).map_err(|errno| refused(name, "adding it", errno))
}

fn search(description: &CStr) -> nix::Result<c_long> {
    let user = c_long::from(libc::KEY_SPEC_USER_KEYRING);
    // A key may be read by who possesses it, which in a service of its own session needs this link. If it fails, the
    // search or the reading says why.
    // SAFETY: KEYCTL_LINK takes two numbers.
    unsafe {
        let process = c_long::from(libc::KEY_SPEC_PROCESS_KEYRING);
        libc::syscall(libc::SYS_keyctl, c_long::from(libc::KEYCTL_LINK), user, process)
    };
    // SAFETY: KEYCTL_SEARCH reads two strings ended by zero.
    Errno::result(unsafe {
        let search = c_long::from(libc::KEYCTL_SEARCH);
        libc::syscall(libc::SYS_keyctl, search, user, KEY_TYPE.as_ptr(), description.as_ptr(), 0_usize)
    })
}

fn description(name: &str) -> Result<CString> {
    CString::new(name).map_err(|_| Error::invalid("a key's name with a zero byte"))
}

fn refused(name: &str, doing: &str, errno: Errno) -> Error {
    Error::io(format!("key {name:?} in the kernel's keyring of this user: {doing}"), errno.into())
}

const KEY_TYPE: &CStr = c"user";

const MAX_PAYLOAD_BYTES: usize = 4_096;
