//! Output: lines, prompts, endless lines, full queues.

use std::time::Duration;

use talkpath::io::clock::Clock;
use talkpath::system::process::{Overflow, Stderr, Stream, TerminalSize};

use crate::{LIMIT, expect, manager, next, python, rest, sh, text};

#[test]
fn lines_come_with_their_newline_and_the_end_after_them() {
    let manager = manager();
    let process = manager.start(&sh("echo one; echo two; printf three")).unwrap();
    assert_eq!(text(&process), "one\ntwo\nthree");
    assert!(process.wait(Some(LIMIT)).unwrap().is_success());
}

#[test]
fn error_is_with_the_output_apart_or_nowhere() {
    let manager = manager();
    let script = "echo out; echo err >&2; echo out2";
    assert_eq!(text(&manager.start(&sh(script)).unwrap()), "out\nerr\nout2\n");
    let mut spec = sh(script);
    spec.stderr = Stderr::Separate;
    let process = manager.start(&spec).unwrap();
    assert_eq!(rest(&process, Stream::Stderr), b"err\n");
    assert_eq!(text(&process), "out\nout2\n");
    spec.stderr = Stderr::Discard;
    assert_eq!(text(&manager.start(&spec).unwrap()), "out\nout2\n");
}

#[test]
fn a_prompt_without_a_newline_arrives_while_its_process_waits() {
    let manager = manager();
    for pty in [None, Some(TerminalSize::default())] {
        let mut spec = sh("printf 'Password: '; read answer; echo got $answer");
        spec.pty = pty;
        let process = manager.start(&spec).unwrap();
        assert_eq!(next(&process, Stream::Stdout).unwrap(), b"Password: ");
        process.send_line("yes", Some(LIMIT)).unwrap();
        assert!(expect(&process, "got yes").ends_with('\n'));
    }
}

#[test]
fn a_character_that_comes_in_two_writes_is_one() {
    let manager = manager();
    // Longer apart than a prompt may stand.
    let script = "import os, time; os.write(1, b'caf\\xc3'); time.sleep(0.2); os.write(1, b'\\xa9\\n')";
    let process = manager.start(&python(script)).unwrap();
    assert_eq!(next(&process, Stream::Stdout).unwrap(), b"caf");
    assert_eq!(next(&process, Stream::Stdout).unwrap(), "é\n".as_bytes());
    assert_eq!(next(&process, Stream::Stdout), None);
}

#[test]
fn a_line_of_8_mb_comes_in_bounded_pieces() {
    let manager = manager();
    let process = manager.start(&python("print('x' * 8_000_000)")).unwrap();
    let (mut total, mut pieces) = (0, 0);
    while !process.is_exhausted(Stream::Stdout) {
        assert!(process.wait_output(Stream::Stdout, Some(LIMIT)).unwrap());
        let mut batch = process.read(Stream::Stdout, usize::MAX);
        while let Some(item) = batch.pop() {
            assert!(item.len() <= 64 * 1024);
            total += item.len();
            pieces += 1;
        }
    }
    assert_eq!(total, 8_000_001);
    assert!(pieces >= 8_000_001 / (64 * 1024));
}

#[test]
fn who_is_not_read_waits_or_loses_the_oldest() {
    let manager = manager();
    let lines = "for i in range(200_000): print(f'{i:07}')";
    let mut spec = python(lines);
    (spec.buffer_bytes, spec.longest_line_bytes) = (64 * 1024, 1_024);
    let process = manager.start(&spec).unwrap();
    assert!(process.wait(Some(Duration::from_millis(500))).is_err());
    let all: Vec<_> = text(&process).lines().map(|line| line.parse::<u32>().unwrap()).collect();
    assert_eq!(all, (0..200_000).collect::<Vec<_>>());

    spec.overflow = Overflow::DropOldest;
    let process = manager.start(&spec).unwrap();
    assert!(process.wait(Some(LIMIT)).unwrap().is_success());
    let mut batch = process.read(Stream::Stdout, usize::MAX);
    let gap = batch.gap;
    assert_eq!(gap.bytes, 8 * gap.lines);
    assert!(gap.lines >= 200_000 - 64 * 1024 / 8);
    for line in gap.lines..200_000 {
        assert_eq!(batch.pop().unwrap(), format!("{line:07}\n").as_bytes());
    }
    assert!(batch.pop().is_none() && process.is_exhausted(Stream::Stdout));
    assert_eq!(process.dropped(Stream::Stdout), gap);
}

#[test]
fn a_grandchild_that_holds_the_output_delays_no_end() {
    let manager = manager();
    for pty in [None, Some(TerminalSize::default())] {
        let mut spec = sh("sleep 60 & echo last words; exit 7");
        spec.pty = pty;
        let began = Clock::now();
        let process = manager.start(&spec).unwrap();
        let exit = process.wait(Some(LIMIT)).unwrap();
        // It is 0.25 s; the limit leaves room for a machine that has much to do.
        assert!(Clock::now().since(began) < Duration::from_secs(20), "the grandchild was waited for");
        if pty.is_none() {
            assert_eq!(exit.code(), Some(7));
        }
        assert_eq!(text(&process).trim_end(), "last words");
    }
}

#[test]
fn a_terminal_that_is_closed_is_the_end_of_output() {
    let manager = manager();
    let mut spec = sh("echo hello; tty > /dev/null && echo on a terminal");
    spec.pty = Some(TerminalSize::default());
    let process = manager.start(&spec).unwrap();
    assert_eq!(text(&process), "hello\r\non a terminal\r\n");
    assert!(process.wait(Some(LIMIT)).unwrap().is_success());
}

#[test]
fn the_descriptor_tells_of_output_and_of_the_end() {
    use std::os::fd::AsRawFd as _;
    let manager = manager();
    let process = manager.start(&sh("read x; echo $x; read y")).unwrap();
    let fd = process.fd().unwrap();
    assert!(fd.as_raw_fd() > 2);
    let mut ready = [nix::poll::PollFd::new(fd, nix::poll::PollFlags::POLLIN)];
    let mut said = Vec::new();
    process.send_line("now", Some(LIMIT)).unwrap();
    while said != b"now\n" {
        assert_eq!(nix::poll::poll(&mut ready, 30_000_u16).unwrap(), 1);
        process.hush();
        while let Some(item) = process.read(Stream::Stdout, usize::MAX).pop() {
            said.extend_from_slice(item);
        }
    }
    process.close_input();
    while process.exit().is_none() {
        assert_eq!(nix::poll::poll(&mut ready, 30_000_u16).unwrap(), 1);
        process.hush();
    }
}
