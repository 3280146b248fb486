//! Answers AudioSocket calls and says back what it hears: the smallest agent in Rust.
//!
//! Run it with `cargo run --release --example echo [HOST:PORT]`, and call it with `--example load` or from Asterisk:
//! `AudioSocket(${UUID()},127.0.0.1:8090)`. Press Enter to stop it.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use talkpath::io::notify::Notifier;
use talkpath::io::server::{Call, Listen, Server, ServerConfig};
use talkpath::session::{Agent, BargeInConfig};
use talkpath::{Error, Result};

fn main() -> Result<()> {
    let mut config = ServerConfig::default();
    if let Some(listen) = std::env::args().nth(1) {
        config.listen = Listen::resolve(&listen)?;
    }
    // An echo must not fall silent because the caller speaks.
    config.session.barge_in = BargeInConfig { automatic: false, ..BargeInConfig::default() };
    let notifier = Arc::new(Notifier::new()?);
    let server = Server::bind(config, Arc::clone(&notifier))?;
    let stdin = std::io::stdin();
    let mut is_stopping = false;
    let mut calls = HashMap::new();
    let mut ready = Vec::new();
    let mut pcm = Vec::new();
    while !server.is_stopped() {
        let mut fds = [PollFd::new(notifier.fd(), PollFlags::POLLIN), PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        let watched = if is_stopping { &mut fds[..1] } else { &mut fds[..] };
        poll(watched, PollTimeout::NONE).map_err(|errno| Error::io("wait for news", errno.into()))?;
        if watched.get(1).is_some_and(|fd| fd.any().unwrap_or(false)) {
            server.stop(Duration::from_secs(1));
            is_stopping = true;
        }
        notifier.take();
        while let Some(record) = server.poll_log() {
            eprintln!("{record}");
        }
        while let Some(Call { key, agent, .. }) = server.accept() {
            calls.insert(key, agent);
            ready.push(key);
        }
        server.poll_ready(&mut ready);
        for key in ready.drain(..) {
            let Some(agent) = calls.get_mut(&key) else {
                continue;
            };
            if agent.control.ended().is_some() {
                calls.remove(&key);
            } else {
                echo(agent, &mut pcm);
            }
        }
    }
    let stats = server.stats();
    eprintln!(
        "{} frames sent; late p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}; passes p99 {:?}; media threads used {:?}",
        stats.frames_sent,
        stats.lateness.quantile(0.5),
        stats.lateness.quantile(0.99),
        stats.lateness.quantile(0.999),
        stats.lateness.max(),
        stats.passes.quantile(0.99),
        stats.media_cpu,
    );
    Ok(())
}

/// Writes all that was heard by now.
fn echo(agent: &mut Agent, pcm: &mut Vec<i16>) {
    while let Some(frame) = agent.input.read() {
        let rate = frame.rate;
        pcm.clear();
        pcm.extend_from_slice(frame.samples);
        let generation = agent.output.generation();
        // The call may have ended in between.
        let _ = agent.output.try_write(pcm, rate, "echo", generation);
    }
    while agent.events.poll(&mut agent.output).is_some() {}
}
