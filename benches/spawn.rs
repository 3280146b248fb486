//! How long it takes to start a program from an agent of a given size, with a guardian, by forking, and by Python.
//!
//! `cargo bench --bench spawn [-- GIB...]`: for each size the agent touches that much memory, then starts `/bin/true` over
//! and over. By the guardian from the request until [`Notice::Spawned`], which comes once the program has been executed;
//! by the standard library without and with `pre_exec` (which has it fork) until it returns, which is the same moment; and
//! by `subprocess.Popen` of Python with and without `preexec_fn`, in a process of the same size.

use std::ffi::CString;
use std::fs::File;
use std::hint::black_box;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use talkpath::io::clock::Clock;
use talkpath::system::process::guardian::{Guardian, GuardianConfig, Notice, Request, SpawnSpec, Tier};

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|gib| gib.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![0, 1, 4] } else { sizes };
    println!("ms to start /bin/true: shortest / p50 / p99");
    for gib in sizes {
        let mut memory = vec![0_u8; gib << 30];
        memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        for tier in [Tier::Subreaper, Tier::Cgroup, Tier::Strict] {
            if let Some(times) = by_guardian(tier) {
                report(gib, &format!("guardian, {tier:?}").to_lowercase(), times);
            }
        }
        report(gib, "std::process::Command", by_command(false, RUNS));
        report(gib, "std::process::Command, pre_exec", by_command(true, if gib > 0 { 20 } else { RUNS }));
        black_box(&mut memory);
        drop(memory);
        by_python(gib);
    }
}

fn by_guardian(tier: Tier) -> Option<Vec<u64>> {
    let directory = std::env::temp_dir().join(format!("talkpath-spawn-{}", std::process::id()));
    let config = GuardianConfig { tier, runtime_directory: Some(directory.clone()) };
    let guardian = Guardian::start(&config).ok()?;
    let nothing = File::options().read(true).write(true).open("/dev/null").expect("nothing");
    let mut times = Vec::new();
    for id in 1..=RUNS as u64 {
        let argv = vec![CString::from(c"/bin/true")];
        let spec = SpawnSpec { argv, env: vec![CString::from(c"PATH=/bin")], ..SpawnSpec::default() };
        let began = Clock::now();
        guardian.request(&Request::Spawn { id, spec }, &[nothing.as_fd(); 3]).expect("sent");
        loop {
            match guardian.poll_notice().expect("a notice") {
                Some(Notice::Spawned { .. }) => times.push(Clock::now().since(began).as_micros() as u64),
                Some(Notice::TreeGone { .. }) => break,
                Some(Notice::Exited { .. }) => {}
                Some(other) => panic!("{other:?}"),
                None => {
                    let _ = poll(&mut [PollFd::new(guardian.fd(), PollFlags::POLLIN)], PollTimeout::NONE);
                }
            }
        }
    }
    drop(guardian);
    let _ = std::fs::remove_dir_all(directory);
    Some(times)
}

fn by_command(forks: bool, runs: usize) -> Vec<u64> {
    let one = |_| {
        let mut command = Command::new("/bin/true");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if forks {
            #[allow(unsafe_code)]
            // SAFETY: it does nothing.
            unsafe {
                command.pre_exec(|| Ok(()));
            }
        }
        let began = Clock::now();
        let mut child = command.spawn().expect("started");
        let time = Clock::now().since(began).as_micros() as u64;
        child.wait().expect("its end");
        time
    };
    (0..runs).map(one).collect()
}

fn by_python(gib: usize) {
    let script = format!(
        "import subprocess, time\n\
         memory = bytearray({gib} << 30)\n\
         memory[::4096] = b'x' * len(memory[::4096])\n\
         for name, options in (('Popen', {{}}), ('Popen, preexec_fn', {{'preexec_fn': lambda: None}})):\n\
         \x20   times = []\n\
         \x20   for _ in range({} if {gib} and options else {RUNS}):\n\
         \x20       began = time.perf_counter()\n\
         \x20       child = subprocess.Popen(['/bin/true'], **options)\n\
         \x20       times.append(int((time.perf_counter() - began) * 1e6))\n\
         \x20       child.wait()\n\
         \x20   print(name, *times, sep='\\t')\n",
        20
    );
    match Command::new("python3").args(["-W", "ignore", "-c", &script]).output() {
        Ok(output) if output.status.success() => {
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                let mut fields = line.split('\t');
                let name = fields.next().unwrap_or_default().to_owned();
                report(gib, &format!("Python, {name}"), fields.filter_map(|us| us.parse().ok()).collect());
            }
        }
        other => println!("{gib} GiB  python3: {other:?}"),
    }
}

fn report(gib: usize, name: &str, mut times: Vec<u64>) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() as f64 * part) as usize).min(times.len() - 1)] as f64 / 1_000.0;
    println!("{gib} GiB  {name:<34} {:>9.2} {:>9.2} {:>9.2}   ({} runs)", at(0.0), at(0.5), at(0.99), times.len());
}

const RUNS: usize = 300;
