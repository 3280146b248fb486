//! No edit clicks: the step between samples never exceeds what the audio itself has.

use talkpath::audio::frame::SampleRate;

use crate::harness::{Call, largest_step, say, tone};

const R: SampleRate = SampleRate::HZ_8000;

/// A tone of 300 Hz and amplitude 8,000 steps by at most 1,885 a sample.
const STEP: i32 = 1_900;

#[test]
fn start_end_underrun_interruption_and_pause_do_not_click() {
    let (mut call, mut agent) = Call::phone();
    // A quarter period off, so that every cut falls at full amplitude.
    let speech = &tone(R, 2_000, 300.0)[7..];
    say(&mut agent, &speech[..803], "a");
    call.idle(9);
    say(&mut agent, &speech[803..2_000], "a");
    call.idle(20);
    say(&mut agent, speech, "b");
    call.idle(7);
    agent.output.pause();
    call.idle(3);
    agent.output.resume();
    call.idle(7);
    agent.output.interrupt();
    say(&mut agent, speech, "c");
    call.idle(5);
    agent.output.interrupt();
    call.idle(5);
    assert!(call.sounding() > 8_000 / 2);
    assert!(largest_step(&call.wire) <= STEP, "{}", largest_step(&call.wire));
}

#[test]
fn without_an_edit_the_audio_is_untouched() {
    let (mut call, mut agent) = Call::phone();
    let speech = tone(R, 400, 300.0);
    for part in speech.chunks(33) {
        say(&mut agent, part, "a");
    }
    call.idle(30);
    let begin = call.wire.iter().position(|&sample| sample != 0).unwrap();
    let end = begin + speech.len();
    // But for the first 5 ms, which fade in.
    assert_eq!(call.wire[begin + 40 - 1..end - 1], speech[40..]);
}
