//! A detector allocates nothing after it is made: not in speech, in silence, between them, or when it forgets.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use talkpath::audio::frame::SampleRate;
use talkpath::audio::vad::Detector;

#[path = "common/allocations.rs"]
mod allocations;

#[test]
fn speech_and_silence_allocate_nothing() {
    let file = include_bytes!("../python/talkpath/data/interruption.wav");
    let mut line: Vec<i16> = file[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    line.resize(line.len() + 16_000, 0);
    for detector in Detector::ALL.into_iter().filter(|detector| detector.check().is_ok()) {
        for rate in [SampleRate::HZ_8000, SampleRate::HZ_16000] {
            let mut vad = detector.make(rate).unwrap();
            let before = allocations::of_this_thread();
            assert!(before > 0, "making it allocates, so counting works");
            let mut voiced = 0;
            for _ in 0..2 {
                voiced += line.chunks(rate.frame_len()).filter(|frame| vad.process(frame).speech).count();
                vad.reset();
            }
            assert!(voiced > 0, "{detector} at {rate} heard nothing");
            assert_eq!(allocations::of_this_thread(), before, "{detector} at {rate}");
        }
    }
}
