//! What does a frame cost over chan_websocket, and what its mark and the answer to it on top?

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use talkpath::protocol::chan_websocket::{Command, Event, FarQueue, Format, MAX_COMMAND_LEN, Plan};
use talkpath::protocol::websocket::{Decoder, Message, Opcode, Role, encode_into};

const FRAME: [u8; 320] = [0x55; 320];

fn cost(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chan_websocket");
    let mut out = [0; 1_024];
    for (name, mask) in [("as server", None), ("as client, masked", Some([1, 2, 3, 4]))] {
        group.bench_function(format!("send a frame, {name}"), |bencher| {
            bencher.iter(|| encode_into(Opcode::Binary, black_box(&FRAME), mask, &mut out));
        });
        let role = if mask.is_some() { Role::Server } else { Role::Client };
        let mut decoder = Decoder::new(role, 65_500);
        let len = encode_into(Opcode::Binary, &FRAME, mask, &mut out).expect("there is room");
        group.bench_function(format!("hear a frame, {name}"), |bencher| {
            bencher.iter(|| {
                let mut input = &mut out[..len];
                matches!(black_box(decoder.poll(&mut input)), Ok(Some(Message::Binary(_))))
            });
        });
    }
    for (name, format, answer) in [
        ("words", Format::PlainText, "MEDIA_MARK_PROCESSED 1234567"),
        ("JSON", Format::Json, r#"{"event":"MEDIA_MARK_PROCESSED","channel_id":"pbx-1.2","correlation_id":"1234567"}"#),
    ] {
        let (mut queue, mut number) = (FarQueue::new(), 0);
        let mut decoder = Decoder::new(Role::Client, 65_500);
        let mut heard = [0; 256];
        let len = encode_into(Opcode::Text, answer.as_bytes(), None, &mut heard).expect("there is room");
        group.bench_function(format!("mark a frame and hear of it, {name}"), |bencher| {
            bencher.iter(|| {
                let plan = queue.plan(number, true);
                let mut text = [0; MAX_COMMAND_LEN];
                let said = Command::MarkMedia(number).write_into(format, &mut text);
                let _ = black_box(encode_into(Opcode::Text, &text[..said], None, &mut out));
                queue.handle_sent(number, plan);
                let mut input = &mut heard[..len];
                if let Ok(Some(Message::Text(text))) = decoder.poll(&mut input) {
                    let _ = black_box(Event::parse(text));
                }
                // The answer's number is made up; the account's part in it is this.
                let acked = queue.handle_mark(number);
                number += 1;
                debug_assert!(matches!(plan, Plan::Send { mark: true, .. }));
                acked
            });
        });
    }
    group.finish();
}

criterion_group!(benches, cost);
criterion_main!(benches);
