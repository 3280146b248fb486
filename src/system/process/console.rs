//! Puts what a process writes, and what becomes of it, on the bus: channel `console`, and `process:…`.
//!
//! A line is one event, in the session that the process was started for. The envelope carries the line twice, as `payload`
//! and as `data`: what reads the channel today looks for one or the other. The bus may have no room; then lines wait here,
//! within the same bound and by the same rule as anywhere else.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

use super::clean::CleanText;
use super::exit::Exit;
use super::handle::Stream;
use super::lines::Block;
use super::output::{Gap, Output, Overflow};
use super::running::STREAMS;
use crate::ErrorKind;
use crate::system::bus::{Payload, Publisher};

/// One process's voice on the bus.
pub(super) struct Console {
    publisher: Publisher,
    id: Arc<str>,
    voices: [Voice; 2],
    /// What the bus had no room for.
    waiting: VecDeque<(&'static str, String)>,
    exit: Option<Exit>,
    pid: i32,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("id", &self.id).finish_non_exhaustive()
    }
}

struct Voice {
    output: Output,
    blocks: VecDeque<Block>,
    clean: CleanText,
}

impl Console {
    pub(super) fn new(publisher: Publisher, id: Arc<str>, limit: usize, longest: usize, overflow: Overflow) -> Self {
        let voice = |_| Voice {
            output: Output::new(limit, longest, overflow),
            blocks: VecDeque::new(),
            clean: CleanText::new(),
        };
        Self { publisher, id, voices: STREAMS.map(voice), waiting: VecDeque::new(), exit: None, pid: 0 }
    }

    pub(super) fn started(&mut self, pid: i32) {
        self.pid = pid;
        self.waiting.push_back(("process:started", json!({"id": &*self.id, "pid": pid}).to_string()));
        self.publish();
    }

    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        self.voices[stream as usize].output.push(bytes);
    }

    pub(super) fn room(&mut self, stream: Stream) -> usize {
        self.voices[stream as usize].output.room()
    }

    pub(super) fn has_partial(&self, stream: Stream) -> bool {
        self.voices[stream as usize].output.has_partial()
    }

    pub(super) fn end_partial(&mut self, stream: Stream) {
        self.voices[stream as usize].output.end_partial();
    }

    pub(super) fn finish_stream(&mut self, stream: Stream) {
        self.voices[stream as usize].output.finish();
    }

    /// The last word, after all output.
    pub(super) fn finish(&mut self, exit: Exit) {
        self.exit = Some(exit);
    }

    /// Whether all was said.
    pub(super) fn is_done(&self) -> bool {
        self.exit.is_none() && self.waiting.is_empty()
    }

    /// Publishes what there is; false if the bus has no room for some of it.
    pub(super) fn publish(&mut self) -> bool {
        loop {
            while let Some((kind, text)) = self.waiting.pop_front() {
                match self.publisher.try_publish(kind, Payload::json(text.as_str())) {
                    Err(error) if error.kind() == ErrorKind::LimitExceeded => {
                        self.waiting.push_front((kind, text));
                        return false;
                    }
                    // Nothing else can be cured by trying again.
                    _ => {}
                }
            }
            if !self.next() {
                return true;
            }
        }
    }

    /// Queues what is to be said next; false if there is nothing.
    fn next(&mut self) -> bool {
        for stream in STREAMS {
            let Self { voices, waiting, id, .. } = self;
            let voice = &mut voices[stream as usize];
            if voice.blocks.is_empty() {
                let taken = voice.output.take(AT_ONCE);
                voice.blocks = taken.blocks;
                if !taken.gap.is_empty() {
                    waiting.push_back(("process:gap", gap(id, stream, taken.gap)));
                    return true;
                }
            }
            while let Some(block) = voice.blocks.front_mut() {
                if let Some(item) = block.pop() {
                    let text = voice.clean.feed(item);
                    waiting.push_back(("console", line(id, stream, item, &text)));
                    return true;
                }
                voice.blocks.pop_front();
            }
        }
        let Some(exit) = self.exit.take() else { return false };
        self.waiting.push_back(("console", ending(&self.id, exit)));
        self.waiting.push_back(("process:exited", exited(&self.id, self.pid, exit)));
        true
    }
}

fn line(id: &str, stream: Stream, item: &[u8], clean: &str) -> String {
    let whole = item.ends_with(b"\n");
    let line = String::from_utf8_lossy(item);
    let line = line.strip_suffix('\n').unwrap_or(&line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let said = format!("[{id}] {line}");
    json!({
        "id": id,
        "stream": name(stream),
        "line": line,
        "text": clean.strip_suffix('\n').unwrap_or(clean),
        "whole": whole,
        "type": "console",
        "payload": said,
        "data": said,
    })
    .to_string()
}

fn ending(id: &str, exit: Exit) -> String {
    let said = match exit.code() {
        Some(code) => format!("[{id}] Process exited with code {code}."),
        None => format!("[{id}] Process {exit}."),
    };
    json!({"id": id, "type": "console", "payload": said, "data": said}).to_string()
}

fn exited(id: &str, pid: i32, exit: Exit) -> String {
    let limit = exit.limit.map_or(Value::Null, |limit| limit.name().into());
    json!({"id": id, "pid": pid, "code": exit.code(), "signal": exit.signal(), "limit": limit}).to_string()
}

fn gap(id: &str, stream: Stream, gap: Gap) -> String {
    json!({"id": id, "stream": name(stream), "lines": gap.lines, "bytes": gap.bytes}).to_string()
}

fn name(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    }
}

/// How much is taken from the queue at once, in bytes.
const AT_ONCE: usize = 64 * 1024;
