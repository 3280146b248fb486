//! `audioop` gives CPython's answer: all functions, all widths, their states and their refusals.
//!
//! `vectors/make_audioop.py` asks CPython and writes down the answers; this asks talkpath, in the same order.

use std::fmt::Display;

use talkpath::audio::audioop::{self, AdpcmState, RateState, Width};

const VECTORS: &str = include_str!("vectors/audioop.txt");

#[test]
fn every_answer_is_cpythons() {
    let mut lines = VECTORS.lines();
    let mut check = |group: &str, kind: &str, width: usize, count: usize, answers: Vec<String>| {
        let got = format!("{group} {kind} {width} {count}: {}", answers.join("; "));
        assert_eq!(got, lines.next().unwrap_or_default());
    };
    for kind in ["noise", "edges", "walk"] {
        for width in Width::ALL {
            for count in [0, 1, 7, 500] {
                let data = fragment(kind, width, count);
                let other = fragment("noise", width, count);
                let bytes = width.bytes();
                check("measure", kind, bytes, count, measure(&data, width, count));
                check("convert", kind, bytes, count, convert(&data, &other, width));
                check("scale", kind, bytes, count, scale(&data, width));
                check("adpcm", kind, bytes, count, adpcm(&data, width));
                check("ratecv", kind, bytes, count, ratecv(&data, width));
            }
        }
        for (count, piece) in [(0, 0), (5, 0), (5, 5), (5, 6), (300, 40), (300, 1)] {
            check("fit", kind, 2, count, fit(kind, count, piece));
        }
    }
    check("refused", "-", 0, 0, refused());
    assert_eq!(lines.next(), None);
}

#[test]
fn a_state_that_ratecv_cannot_have_returned_is_refused() {
    // CPython writes past its buffer here.
    let state = RateState { ahead: i32::MAX, samples: vec![(0, 0)] };
    assert_eq!(audioop::ratecv(&[], Width::One, 1, (1, 1), Some(state), (1, 0)), Err(audioop::Error::RateState));
    let state = RateState { ahead: i32::MIN, samples: vec![(0, 0)] };
    let (out, state) = audioop::ratecv(&[1, 2], Width::One, 1, (1, 1), Some(state), (1, 0)).unwrap();
    assert_eq!((out.len(), state.ahead), (0, i32::MIN + 2));
}

#[test]
fn a_result_beyond_memory_is_refused() {
    let result = audioop::ratecv(&[0; 2_000_000], Width::One, 1, (1, i32::MAX), None, (1, 0));
    assert_eq!(result, Err(audioop::Error::TooLarge));
}

#[test]
fn errors_keep_their_words_at_the_crates_edge() {
    let error = talkpath::Error::from(audioop::max(&[0], Width::Two).unwrap_err());
    assert_eq!(error.kind(), talkpath::ErrorKind::InvalidArgument);
    assert_eq!(error.to_string(), "not a whole number of frames");
}

fn measure(data: &[u8], width: Width, count: usize) -> Vec<String> {
    let pair = |(low, high): (i32, i32)| format!("({low},{high})");
    let mut answers = vec![
        answer(audioop::max(data, width)),
        answer(audioop::minmax(data, width).map(pair)),
        answer(audioop::avg(data, width)),
        answer(audioop::rms(data, width)),
        answer(audioop::avgpp(data, width)),
        answer(audioop::maxpp(data, width)),
        answer(audioop::cross(data, width)),
    ];
    let count = count as isize;
    answers.extend([0, 1, count - 1, count, -1].map(|index| answer(audioop::getsample(data, width, index))));
    answers
}

fn convert(data: &[u8], other: &[u8], width: Width) -> Vec<String> {
    let shorter = data.get(width.bytes()..).unwrap_or_default();
    let mut answers = vec![
        bytes(audioop::reverse(data, width)),
        bytes(audioop::byteswap(data, width)),
        bytes(audioop::lin2ulaw(data, width)),
        bytes(audioop::lin2alaw(data, width)),
        bytes(audioop::ulaw2lin(data, width)),
        bytes(audioop::alaw2lin(data, width)),
        bytes(audioop::add(data, other, width)),
        bytes(audioop::add(data, shorter, width)),
    ];
    answers.extend(Width::ALL.map(|new| bytes(audioop::lin2lin(data, width, new))));
    answers.extend([0, 1, -1, 12_345, i32::MIN, i32::MAX].map(|bias| bytes(audioop::bias(data, width, bias))));
    answers
}

fn scale(data: &[u8], width: Width) -> Vec<String> {
    let factors = [0.0, 1.0, -1.0, 0.5, -0.37, 1.9, 1e300, f64::INFINITY, f64::NAN];
    let mut answers: Vec<String> = factors.map(|factor| bytes(audioop::mul(data, width, factor))).into();
    answers.extend(factors.map(|factor| bytes(audioop::tomono(data, width, factor, 0.7))));
    answers.extend(factors.map(|factor| bytes(audioop::tostereo(data, width, factor, -0.7))));
    answers
}

fn adpcm(data: &[u8], width: Width) -> Vec<String> {
    let state = |predicted, index| AdpcmState::new(predicted, index).expect("a good state");
    let both = |result: audioop::Result<(Vec<u8>, AdpcmState)>| {
        answer(result.map(|(out, state)| {
            let (predicted, index) = state.parts();
            format!("({},({predicted},{index}))", hash(&out))
        }))
    };
    let coded = audioop::lin2adpcm(data, width, AdpcmState::default()).expect("whole samples");
    vec![
        both(Ok(coded.clone())),
        both(audioop::lin2adpcm(data, width, coded.1)),
        both(audioop::lin2adpcm(data, width, state(-32_768, 88))),
        both(audioop::adpcm2lin(data, width, AdpcmState::default())),
        both(audioop::adpcm2lin(&coded.0, width, state(32_767, 40))),
    ]
}

fn ratecv(data: &[u8], width: Width) -> Vec<String> {
    let rates = [(8_000, 8_000), (8_000, 16_000), (16_000, 8_000), (8_000, 11_025), (44_100, 8_000), (3, 7), (7, 2)];
    rates
        .map(|rates| {
            let mut answers = Vec::new();
            for channels in [1, 2, 3] {
                for weights in [(1, 0), (3, 5)] {
                    answers.push(answer(in_two_pieces(data, width, channels, rates, weights)));
                }
            }
            hash(answers.join("; ").as_bytes())
        })
        .into()
}

fn in_two_pieces(
    data: &[u8],
    width: Width,
    channels: usize,
    rates: (i32, i32),
    weights: (i32, i32),
) -> audioop::Result<String> {
    let frame = width.bytes() * channels;
    let (first, rest) = data.split_at(data.len() / frame / 2 * frame);
    let (first, state) = audioop::ratecv(first, width, channels as i32, rates, None, weights)?;
    let (rest, state) = audioop::ratecv(rest, width, channels as i32, rates, Some(state), weights)?;
    let samples: Vec<String> = state.samples.iter().map(|(before, current)| format!("({before},{current})")).collect();
    Ok(format!("({},{},({},({})))", hash(&first), hash(&rest), state.ahead, samples.join(",")))
}

fn fit(kind: &str, count: usize, piece: usize) -> Vec<String> {
    let data = fragment(kind, Width::Two, count);
    let reference = &fragment(kind, Width::Two, 900)[120..120 + 2 * piece];
    let both = |(at, factor): (usize, f64)| format!("({at},{})", bits(factor));
    let odd = [data.as_slice(), b"x"].concat();
    vec![
        answer(audioop::findfit(&data, reference).map(both)),
        answer(audioop::findfit(&data, &data[data.len() / 4 * 2..]).map(both)),
        answer(audioop::findfit(&odd, reference).map(both)),
        answer(audioop::findfactor(&data, reference).map(bits)),
        answer(audioop::findfactor(&data, &fragment("walk", Width::Two, count)).map(bits)),
        answer(audioop::findmax(&data, piece as isize)),
        answer(audioop::findmax(&data, -1)),
    ]
}

fn refused() -> Vec<String> {
    let ratecv = |data: &[u8], channels, rates, state, weights| {
        answer(audioop::ratecv(data, Width::Two, channels, rates, state, weights).map(|(out, _)| hash(&out)))
    };
    let no_channel = RateState { ahead: -1, samples: Vec::new() };
    vec![
        answer(Width::new(0).map(Width::bytes)),
        answer(Width::new(5).map(Width::bytes)),
        answer(audioop::max(b"abc", Width::Two)),
        bytes(audioop::tomono(b"abcd", Width::Four, 1.0, 1.0)),
        ratecv(b"", 0, (1, 1), None, (1, 0)),
        ratecv(b"", 1, (1, 1), None, (0, 0)),
        ratecv(b"", 1, (1, 1), None, (1, -1)),
        ratecv(b"ab", 2, (1, 1), None, (1, 0)),
        ratecv(b"", 1, (0, 1), None, (1, 0)),
        ratecv(b"", 1, (1, -1), None, (1, 0)),
        ratecv(b"", 1, (1, 1), Some(no_channel), (1, 0)),
        answer(AdpcmState::new(32_768, 0).map(|state| state.parts().0)),
        answer(AdpcmState::new(0, 89).map(|state| state.parts().0)),
        answer(AdpcmState::new(-32_769, 0).map(|state| state.parts().0)),
        answer(AdpcmState::new(0, -1).map(|state| state.parts().0)),
    ]
}

/// The generator of `make_audioop.py`.
struct Random(u32);

impl Random {
    fn next(&mut self) -> i64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i64::from(self.0 >> 16)
    }
}

fn fragment(kind: &str, width: Width, count: usize) -> Vec<u8> {
    let mut random = Random((width.bytes() * 1_000 + count) as u32);
    let top = 1_i64 << (8 * width.bytes() - 1);
    let mut value = 0;
    let mut fragment = Vec::new();
    for _ in 0..count {
        value = match kind {
            "noise" => (random.next() << 16 | random.next()) % (2 * top) - top,
            "edges" => [-top, top - 1, 0, -1, 1][(random.next() % 5) as usize],
            _ => (value + random.next() % 7 - 3).clamp(-100, 100),
        };
        fragment.extend_from_slice(&value.to_le_bytes()[..width.bytes()]);
    }
    fragment
}

fn answer<T: Display>(result: audioop::Result<T>) -> String {
    result.map_or_else(|error| error.to_string(), |value| value.to_string())
}

fn bytes(result: audioop::Result<Vec<u8>>) -> String {
    answer(result.map(|bytes| hash(&bytes)))
}

/// FNV-1a, after the length.
fn hash(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0x811c_9dc5, |hash: u32, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{}:{hash:08x}", bytes.len())
}

fn bits(value: f64) -> String {
    if value.is_nan() { "nan".to_owned() } else { format!("{:016x}", value.to_bits()) }
}
