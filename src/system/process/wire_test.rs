//! Messages read as they were written, whole or not at all, and any bytes do no harm.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn any_text() -> impl Strategy<Value = CString> {
    vec(1..=u8::MAX, 0..20).prop_map(|bytes| CString::new(bytes).expect("no zero"))
}

fn any_limits() -> impl Strategy<Value = Limits> {
    any::<[Option<u64>; 6]>().prop_map(|[nproc, memory_bytes, cpu_seconds, open_files, file_bytes, wall_ms]| Limits {
        nproc,
        memory_bytes,
        cpu_seconds,
        open_files,
        file_bytes,
        wall_ms,
    })
}

fn any_spec() -> impl Strategy<Value = SpawnSpec> {
    let texts = || vec(any_text(), 0..8);
    (texts(), texts(), option::of(any_text()), any::<bool>(), any_limits())
        .prop_map(|(argv, env, cwd, pty, limits)| SpawnSpec { argv, env, cwd, pty, limits })
}

fn any_tier() -> impl Strategy<Value = Tier> {
    prop_oneof![Just(Tier::Subreaper), Just(Tier::Cgroup), Just(Tier::Strict)]
}

fn any_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (any_tier(), option::of(any_text())).prop_map(|(tier, runtime)| Request::Hello { tier, runtime }),
        (any::<u64>(), any_spec()).prop_map(|(id, spec)| Request::Spawn { id, spec }),
        any::<u64>().prop_map(|id| Request::SpawnFromFile { id }),
        any::<(u64, i32, bool)>().prop_map(|(id, signal, whole_tree)| Request::Signal { id, signal, whole_tree }),
        (vec(any::<u64>(), 0..40), any::<u32>()).prop_map(|(ids, grace_ms)| Request::Stop { ids, grace_ms }),
        Just(Request::Shutdown),
        (any::<u64>(), any::<i32>(), any::<u64>()).prop_map(|(id, pid, started)| Request::Adopt { id, pid, started }),
        any::<u64>().prop_map(|id| Request::Release { id }),
    ]
}

fn any_stage() -> impl Strategy<Value = Stage> {
    (1_u8..=10).prop_map(|byte| Stage::from_byte(byte).expect("a stage"))
}

fn any_notice() -> impl Strategy<Value = Notice> {
    let status = prop_oneof![
        any::<i32>().prop_map(Status::Code),
        any::<(i32, bool)>().prop_map(|(number, core_dumped)| Status::Signal { number, core_dumped }),
    ];
    prop_oneof![
        (any_tier(), any::<bool>()).prop_map(|(tier, recorded)| Notice::Ready { tier, recorded }),
        (any_stage(), any::<i32>()).prop_map(|(stage, errno)| Notice::Refused { stage, errno }),
        any::<(u64, i32)>().prop_map(|(id, pid)| Notice::Spawned { id, pid }),
        (any::<u64>(), any_stage(), any::<i32>()).prop_map(|(id, stage, errno)| Notice::SpawnFailed {
            id,
            stage,
            errno
        }),
        (any::<u64>(), status).prop_map(|(id, status)| Notice::Exited { id, status }),
        any::<(u64, u32)>().prop_map(|(id, killed)| Notice::TreeGone { id, killed }),
        (any::<u64>(), 1_u8..=4)
            .prop_map(|(id, byte)| Notice::LimitReached { id, which: Limit::from_byte(byte).expect("a limit") }),
        any::<(u64, u32)>().prop_map(|(id, killed)| Notice::Lost { id, killed }),
    ]
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn a_request_is_read_as_it_was_written_and_only_whole(request in any_request(), extra: u8) {
        let mut bytes = written(|out| request.encode(out));
        for len in 0..bytes.len() {
            prop_assert!(Request::decode(&bytes[..len]).is_err(), "{} of {} bytes", len, bytes.len());
        }
        prop_assert_eq!(Request::decode(&bytes), Ok(request));
        bytes.push(extra);
        prop_assert!(Request::decode(&bytes).is_err());
    }

    #[test]
    fn a_notice_is_read_as_it_was_written_and_only_whole(notice in any_notice(), extra: u8) {
        let mut bytes = written(|out| notice.encode(out));
        prop_assert!(bytes.len() <= 64, "the agent's buffer");
        for len in 0..bytes.len() {
            prop_assert!(Notice::decode(&bytes[..len]).is_err(), "{} of {} bytes", len, bytes.len());
        }
        prop_assert_eq!(Notice::decode(&bytes), Ok(notice));
        bytes.push(extra);
        prop_assert!(Notice::decode(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_refused_or_mean_what_they_are_written_as(tag in 0_u8..10, rest in vec(any::<u8>(), 0..200)) {
        let bytes = [&[tag][..], &rest].concat();
        if let Ok(request) = Request::decode(&bytes) {
            prop_assert_eq!(Request::decode(&written(|out| request.encode(out))), Ok(request));
        }
        if let Ok(notice) = Notice::decode(&bytes) {
            prop_assert_eq!(Notice::decode(&written(|out| notice.encode(out))), Ok(notice));
        }
    }

    #[test]
    fn a_flipped_bit_does_no_harm(request in any_request(), at: prop::sample::Index, bit in 0..8_u32) {
        let mut bytes = written(|out| request.encode(out));
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        if let Ok(read) = Request::decode(&bytes) {
            prop_assert_eq!(Request::decode(&written(|out| read.encode(out))), Ok(read));
        }
    }
}

#[test]
fn a_count_that_cannot_be_true_makes_no_room() {
    // Texts: four thousand million of them, in a message of a few bytes.
    let mut bytes = written(|out| Request::Spawn { id: 1, spec: SpawnSpec::default() }.encode(out));
    let argv = bytes.len() - 8;
    bytes[argv..argv + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Request::decode(&bytes), Err(Malformed("cut short")));
    // Ids: more than one request may name.
    let ids = written(|out| Request::Stop { ids: vec![0; MAX_STOP_IDS + 1], grace_ms: 0 }.encode(out));
    assert_eq!(Request::decode(&ids), Err(Malformed("too many ids")));
    let most = written(|out| Request::Stop { ids: vec![0; MAX_STOP_IDS], grace_ms: 0 }.encode(out));
    assert!(most.len() <= MESSAGE_LEN && Request::decode(&most).is_ok());
}

#[test]
fn a_zero_byte_within_a_text_is_refused() {
    let mut bytes = written(|out| Request::Hello { tier: Tier::Strict, runtime: Some(c"/run".into()) }.encode(out));
    *bytes.last_mut().expect("a byte") = 0;
    assert_eq!(Request::decode(&bytes), Err(Malformed("a zero byte in a text")));
}
