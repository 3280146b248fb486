//! Supervised processes, with real programs: what is read, what is written, how they end.

mod ends;
mod input;
mod output;
mod surroundings;

use std::time::Duration;

use talkpath::system::process::{ManagerConfig, Process, ProcessManager, ProcessSpec, Stream};

/// How long anything may take before a test fails instead of hanging.
const LIMIT: Duration = Duration::from_secs(30);

fn manager() -> ProcessManager {
    ProcessManager::new(ManagerConfig::default()).expect("a manager")
}

fn sh(script: &str) -> ProcessSpec {
    ProcessSpec::argv(["/bin/sh", "-c", script])
}

fn python(script: &str) -> ProcessSpec {
    ProcessSpec::argv(["python3", "-c", script])
}

/// The next item, waited for.
fn next(process: &Process, stream: Stream) -> Option<Vec<u8>> {
    let mut item = Vec::new();
    loop {
        assert!(process.wait_output(stream, Some(LIMIT)).expect("a live process"), "nothing came of {process:?}");
        if let Some(gap) = process.read_item(stream, &mut item) {
            assert!(gap.is_empty());
            return Some(item);
        }
        if process.is_exhausted(stream) {
            return None;
        }
    }
}

/// Everything until the end of the output.
fn rest(process: &Process, stream: Stream) -> Vec<u8> {
    let mut all = Vec::new();
    while !process.is_exhausted(stream) {
        assert!(process.wait_output(stream, Some(LIMIT)).expect("a live process"), "nothing came of {process:?}");
        let mut batch = process.read(stream, usize::MAX);
        while let Some(item) = batch.pop() {
            all.extend_from_slice(item);
        }
    }
    all
}

fn text(process: &Process) -> String {
    String::from_utf8(rest(process, Stream::Stdout)).expect("utf-8")
}

/// Reads until `wanted` was said.
fn expect(process: &Process, wanted: &str) -> String {
    let mut said = String::new();
    while !said.contains(wanted) {
        assert!(
            process.wait_output(Stream::Stdout, Some(LIMIT)).expect("a live process"),
            "{wanted:?} did not come: {said:?}"
        );
        let mut batch = process.read(Stream::Stdout, usize::MAX);
        while let Some(item) = batch.pop() {
            said.push_str(&String::from_utf8_lossy(item));
        }
        assert!(said.contains(wanted) || !process.is_exhausted(Stream::Stdout), "{wanted:?} never came: {said:?}");
    }
    said
}
