//! Input: who does not read, long lines at a terminal, secrets.

use std::time::Duration;

use talkpath::ErrorKind;
use talkpath::system::process::{Stream, TerminalSize, Typed};
use talkpath::system::secret::SecretRef;

use crate::{LIMIT, expect, manager, next, python, rest, sh, text};

#[test]
fn who_never_reads_is_waited_for_only_so_long() {
    let manager = manager();
    let process = manager.start(&sh("exec sleep 60")).unwrap();
    let much = vec![b'x'; 1_000_000];
    let error = process.write(Typed::Bytes(much), Some(Duration::from_millis(200))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().ends_with("it has taken 65536 bytes of it"), "{error}");
    // What was not taken was taken back: a pipe that is full takes nothing more.
    let error = process.write(Typed::Bytes(b"y".to_vec()), Some(Duration::from_millis(50))).unwrap_err();
    assert!(error.to_string().ends_with("it has taken 0 bytes of it"), "{error}");
}

#[test]
fn who_reads_no_more_is_an_error_and_no_signal() {
    let manager = manager();
    let process = manager.start(&sh("exec <&-; echo closed; exec sleep 60")).unwrap();
    assert_eq!(next(&process, Stream::Stdout).unwrap(), b"closed\n");
    assert_eq!(process.send_line("hello", Some(LIMIT)).unwrap_err().kind(), ErrorKind::Io);
    process.stop(Duration::ZERO);
    process.wait(Some(LIMIT)).unwrap();
    assert_eq!(process.send_line("hello", Some(LIMIT)).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn a_closed_input_is_the_end_of_it() {
    let manager = manager();
    for pty in [None, Some(TerminalSize::default())] {
        let mut spec = sh("stty -echo 2> /dev/null; echo ready; cat; echo done");
        spec.pty = pty;
        let process = manager.start(&spec).unwrap();
        expect(&process, "ready");
        process.send_line("words", Some(LIMIT)).unwrap();
        process.close_input();
        assert_eq!(text(&process).replace('\r', "").trim_start(), "words\ndone\n");
    }
}

#[test]
fn a_typed_line_of_any_length_arrives_whole() {
    let manager = manager();
    let script = "import sys; print('ready', flush=True)\nfor line in sys.stdin: print(len(line), hash(line) == hash('ab' * (len(line) // 2) + '\\n'), flush=True)";
    let mut spec = python(script);
    spec.pty = Some(TerminalSize::default());
    let process = manager.start(&spec).unwrap();
    expect(&process, "ready");
    for length in [2, 1_022, 1_024, 4_092, 4_094, 4_096, 8_192, 100_000] {
        process.send_line(&"ab".repeat(length / 2), Some(LIMIT)).unwrap();
        expect(&process, &format!("{} True", length + 1));
    }
}

#[test]
fn a_long_line_arrives_whole_at_a_reader_of_just_such_pieces() {
    let manager = manager();
    for size in [1_024, 4_096, 1_000, 1] {
        // Without a buffer of its own: what the system hands over is what is counted.
        let script = format!(
            "import os\nprint('ready', flush=True)\ntotal = 0\nwhile True:\n part = os.read(0, {size})\n if not part: print('end of input'); break\n total += len(part)\n if part.endswith(b'\\n'): print('total', total, flush=True); break"
        );
        let mut spec = python(&script);
        spec.pty = Some(TerminalSize::default());
        let process = manager.start(&spec).unwrap();
        expect(&process, "ready");
        process.send_line(&"x".repeat(9_999), Some(LIMIT)).unwrap();
        expect(&process, "total 10000");
    }
}

#[test]
fn a_secret_is_typed_and_not_shown() {
    let manager = manager();
    let mut spec = sh("echo ready; read a; read b; echo ${#a} ${#b}");
    spec.pty = Some(TerminalSize::default());
    let process = manager.start(&spec).unwrap();
    expect(&process, "ready");
    let secret = SecretRef::from_bytes("canary", &mut b"s3cr3t-canary".to_vec()).unwrap();
    process.write(Typed::Secret(secret), Some(LIMIT)).unwrap();
    process.send_line("visible", Some(LIMIT)).unwrap();
    let said = String::from_utf8(rest(&process, Stream::Stdout)).unwrap();
    assert!(said.contains("visible") && said.contains("13 7"), "{said:?}");
    assert!(!said.contains("canary"), "{said:?}");
}

#[test]
fn a_secret_goes_through_a_pipe_with_a_newline() {
    let manager = manager();
    let process = manager.start(&sh("read a; echo ${#a}")).unwrap();
    let secret = SecretRef::from_bytes("key", &mut vec![b'k'; 40_000]).unwrap();
    process.write(Typed::Secret(secret), Some(LIMIT)).unwrap();
    assert_eq!(text(&process), "40000\n");
}

#[test]
fn a_terminal_tells_its_size() {
    let manager = manager();
    let mut spec = sh("stty size; trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done");
    spec.pty = Some(TerminalSize { rows: 10, columns: 20 });
    let process = manager.start(&spec).unwrap();
    assert!(expect(&process, "ready").starts_with("10 20"));
    process.resize(TerminalSize { rows: 40, columns: 100 }).unwrap();
    expect(&process, "40 100");
    let process = manager.start(&sh(":")).unwrap();
    assert_eq!(process.resize(TerminalSize::default()).unwrap_err().kind(), ErrorKind::InvalidArgument);
}
