//! Every way to change a log, and that none goes unseen.

use std::ops::Range;
use std::path::Path;

use proptest::prelude::*;
use talkpath::system::audit::{HEADER_LEN, Verdict};

use super::harness::{Folder, judge, records, write};

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>, &[Range<usize>])) {
    let places: Vec<_> = records(path).into_iter().map(|(place, _, _)| place).collect();
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes, &places);
    std::fs::write(path, bytes).unwrap();
}

/// Puts the checksum right, as somebody does who knows the format.
fn mend_checksum(record: &mut [u8]) {
    let end = record.len() - 32;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&record[4..8]), &record[12..end]);
    record[8..12].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn every_flipped_byte_shows_and_the_record_is_named() {
    let folder = Folder::new();
    write(&folder.log(), 4);
    let whole = std::fs::read(folder.log()).unwrap();
    let places: Vec<_> = records(&folder.log()).into_iter().map(|(place, _, _)| place).collect();
    for at in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= bit;
            std::fs::write(folder.log(), &bytes).unwrap();
            let report = judge(&folder.log());
            assert_ne!(report.verdict, Verdict::Intact, "byte {at}");
            let number = places.iter().position(|place| place.contains(&at)).map_or(0, |index| index as u64 + 1);
            let finding = &report.findings[0];
            if finding.verdict == Verdict::Broken {
                assert_eq!(finding.record, number, "byte {at}: {finding:?}");
            } else {
                // A longer length in the last record looks like a crash; nothing before it is in doubt.
                assert_eq!((finding.verdict, number), (Verdict::Torn, 6), "byte {at}: {finding:?}");
            }
        }
    }
}

#[test]
fn every_length_but_those_between_records_is_torn_and_never_silently_so() {
    let folder = Folder::new();
    write(&folder.log(), 4);
    let whole = std::fs::read(folder.log()).unwrap();
    let ends: Vec<_> = records(&folder.log()).into_iter().map(|(place, _, _)| place.end).collect();
    for len in 0..whole.len() {
        std::fs::write(folder.log(), &whole[..len]).unwrap();
        let report = judge(&folder.log());
        let wanted = match len {
            _ if len < HEADER_LEN => Verdict::Broken,
            _ if len == HEADER_LEN || ends.contains(&len) => Verdict::Intact,
            _ => Verdict::Torn,
        };
        assert_eq!(report.verdict, wanted, "{len} bytes: {report:?}");
        assert!(!report.closed, "{len} bytes");
        assert_eq!(report.records, ends.iter().filter(|&&end| end <= len).count() as u64);
    }
}

#[test]
fn zeros_at_the_end_are_what_a_power_cut_leaves() {
    let folder = Folder::new();
    write(&folder.log(), 4);
    for cut in [0, 3, 40] {
        let folder = Folder::new();
        write(&folder.log(), 4);
        change(&folder.log(), |bytes, _| {
            bytes.truncate(bytes.len() - cut);
            bytes.extend([0; 4096]);
        });
        assert_eq!(judge(&folder.log()).verdict, Verdict::Torn);
    }
}

#[test]
fn an_edit_with_a_right_checksum_breaks_the_chain_at_its_record() {
    let folder = Folder::new();
    write(&folder.log(), 4);
    change(&folder.log(), |bytes, places| {
        let record = &mut bytes[places[2].clone()];
        let at = record.windows(9).position(|window| window == b"000000002").unwrap();
        record[at] = b'9';
        mend_checksum(record);
    });
    let report = judge(&folder.log());
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert_eq!((report.verdict, report.findings[0].record), (Verdict::Broken, 3));
    assert!(report.findings[0].text.contains("chain"));
}

#[test]
fn records_taken_out_put_in_swapped_and_repeated_are_named() {
    type Change = fn(&mut Vec<u8>, &[Range<usize>]);
    let changes: [(Change, u64); 5] = [
        (|bytes, places| drop(bytes.drain(places[2].clone())), 4),
        (|bytes, places| drop(bytes.drain(places[1].start..places[3].end)), 5),
        (
            |bytes, places| {
                let again = bytes[places[1].clone()].to_vec();
                bytes.splice(places[2].end..places[2].end, again);
            },
            2,
        ),
        (
            |bytes, places| {
                let (second, third) = (bytes[places[1].clone()].to_vec(), bytes[places[2].clone()].to_vec());
                bytes.splice(places[1].start..places[2].end, [third, second].concat());
            },
            3,
        ),
        (
            |bytes, places| {
                // The number is put right, and the checksum; the chain cannot be.
                bytes.drain(places[2].clone());
                let start = places[2].start;
                bytes[start + 12..start + 20].copy_from_slice(&3_u64.to_le_bytes());
                mend_checksum(&mut bytes[start..start + places[3].len()]);
            },
            3,
        ),
    ];
    for (index, (how, record)) in changes.into_iter().enumerate() {
        let folder = Folder::new();
        write(&folder.log(), 4);
        change(&folder.log(), how);
        let report = judge(&folder.log());
        assert_eq!((report.verdict, report.findings[0].record), (Verdict::Broken, record), "{index}: {report:?}");
    }
}

#[test]
fn a_record_of_another_log_does_not_fit() {
    let (folder, other) = (Folder::new(), Folder::new());
    write(&folder.log(), 4);
    write(&other.log(), 4);
    let stranger = std::fs::read(other.log()).unwrap();
    change(&folder.log(), |bytes, places| bytes[places[3].clone()].copy_from_slice(&stranger[places[3].clone()]));
    let report = judge(&folder.log());
    assert_eq!((report.verdict, report.findings[0].record), (Verdict::Broken, 4), "{report:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_spliced_in_anywhere_shows(at in 0.0..1.0_f64, gone in 0..60_usize, put in prop::collection::vec(any::<u8>(), 0..60)) {
        let folder = Folder::new();
        write(&folder.log(), 6);
        let whole = std::fs::read(folder.log()).unwrap();
        let ends: Vec<_> = records(&folder.log()).into_iter().map(|(place, _, _)| place.end).collect();
        let start = (whole.len() as f64 * at) as usize;
        let mut bytes = whole.clone();
        bytes.splice(start..(start + gone).min(whole.len()), put);
        let cut_between_records = whole.starts_with(&bytes) && ends.contains(&bytes.len());
        prop_assume!(bytes != whole && !cut_between_records);
        std::fs::write(folder.log(), &bytes).unwrap();
        prop_assert_ne!(judge(&folder.log()).verdict, Verdict::Intact);
    }
}
