//! A secret is lent, not given: what is shown of it, who may open it, and what is left afterwards.

use std::thread;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use talkpath::ErrorKind;
use talkpath::system::secret::{MAX_VALUE_BYTES, Protection, SecretRef, protection};

#[test]
fn it_lends_its_bytes_and_takes_them_from_who_gave_them() {
    let mut given = b"sk-live-0123456789".to_vec();
    let secret = SecretRef::from_bytes("PROVIDER_KEY", &mut given).expect("sealed");
    assert_eq!(given, [0; 18]);
    assert_eq!(secret.expose(<[u8]>::to_vec).expect("opened"), b"sk-live-0123456789");
    assert_eq!(secret.clone().expose(<[u8]>::len).expect("opened"), 18);
    assert_eq!(&*secret.open().expect("opened"), b"sk-live-0123456789");
}

#[test]
fn it_shows_its_name_alone() {
    let secret = SecretRef::from_bytes("PROVIDER_KEY", &mut b"sk-live-0123456789".to_vec()).expect("sealed");
    assert_eq!(format!("{secret:?}"), "SecretRef(PROVIDER_KEY)");
    assert_eq!(format!("{:?}", secret.open().expect("opened")), "Exposed(..)");
}

#[test]
fn it_compares_by_bytes() {
    let secret = SecretRef::from_bytes("PIN", &mut b"4711".to_vec()).expect("sealed");
    assert!(secret.matches(b"4711").expect("opened"));
    assert!(!secret.matches(b"4712").expect("opened"));
    assert!(!secret.matches(b"47110").expect("opened"));
}

#[test]
fn lengths_have_limits_and_a_refused_value_is_wiped_too() {
    for len in [1, 4_096, 4_097, MAX_VALUE_BYTES] {
        let secret = SecretRef::from_bytes("LONG", &mut vec![7; len]).expect("sealed");
        assert!(secret.expose(|bytes| bytes.len() == len && bytes.iter().all(|byte| *byte == 7)).expect("opened"));
    }
    let mut long = vec![7; MAX_VALUE_BYTES + 1];
    let error = SecretRef::from_bytes("LONG", &mut long).expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.to_string(), "a secret of 65537 bytes, wanted 1 to 65536");
    assert!(long.iter().all(|byte| *byte == 0));
    assert_eq!(SecretRef::from_bytes("NONE", &mut []).expect_err("empty").kind(), ErrorKind::InvalidArgument);
}

#[test]
fn many_threads_open_it_at_once_and_one_within_another() {
    let secrets: Vec<_> =
        (0..4_u8).map(|number| SecretRef::from_bytes("EACH", &mut [number; 100]).expect("sealed")).collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let held: Vec<_> = (0..20).map(|turn| secrets[turn % 4].open().expect("opened")).collect();
                    for (turn, bytes) in held.iter().enumerate() {
                        assert_eq!(&**bytes, [u8::try_from(turn % 4).expect("small"); 100]);
                    }
                }
            });
        }
    });
}

#[test]
fn a_panic_within_leaves_it_usable() {
    let secret = SecretRef::from_bytes("KEY", &mut b"0123".to_vec()).expect("sealed");
    let panic = std::panic::catch_unwind(|| secret.expose(|_| panic!("not a byte of it")));
    assert!(panic.is_err());
    assert_eq!(secret.expose(<[u8]>::len).expect("opened"), 4);
}

#[test]
fn the_kernel_here_has_secret_memory_or_says_that_it_is_degraded() {
    let regions = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let before = regions.matches("secretmem").count();
    let secret = SecretRef::from_bytes("KEY", &mut b"0123".to_vec()).expect("sealed");
    let opened = secret.open().expect("opened");
    let regions = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let secret_memory = regions.matches("secretmem").count() > before;
    assert_eq!(secret_memory, protection().expect("memory") == Protection::SecretMemory);
    drop(opened);
}

/// nextest gives each test a process of its own, which is what makes forking here sound.
#[test]
#[allow(unsafe_code)]
fn a_forked_child_is_refused_and_may_seal_its_own() {
    let secret = SecretRef::from_bytes("KEY", &mut b"0123".to_vec()).expect("sealed");
    let held = secret.open().expect("opened");
    // SAFETY: no other thread of this test takes a lock that the child's few calls need.
    match unsafe { fork() }.expect("forked") {
        ForkResult::Child => {
            let refused = secret.expose(<[u8]>::len).expect_err("not ours");
            let said = refused.kind() == ErrorKind::AccessDenied && refused.to_string().contains("was forked");
            let emptied = held.is_empty();
            drop(held);
            drop(secret);
            let own = SecretRef::from_bytes("OWN", &mut b"45678".to_vec()).and_then(|own| own.expose(<[u8]>::len));
            std::process::exit(if said && emptied && own.is_ok_and(|len| len == 5) { 0 } else { 1 });
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None).expect("waited"), WaitStatus::Exited(child, 0));
        }
    }
    assert_eq!(&*held, b"0123");
    assert_eq!(secret.expose(<[u8]>::len).expect("opened"), 4);
}
