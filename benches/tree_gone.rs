//! How long whatever an agent has started outlives it, and that nothing does: eight shapes, four ends, fifty runs each.
//!
//! `cargo bench --bench tree_gone [-- RUNS [subreaper|cgroup|strict]]`, as root and as anybody else; root's run plays the
//! scene once more as user 65534. What is measured, and how survivors are found, is told in
//! `tests/process_guard/scene.rs`.

#[path = "../tests/process_guard/scene.rs"]
mod scene;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let records = || PathBuf::from(std::env::var_os("TALKPATH_RECORDS").expect("where records are"));
    match arguments.first().map(String::as_str) {
        Some("agent") => {
            scene::agent(
                &std::env::var("TALKPATH_SHAPE").expect("a shape"),
                scene::tier_from_environment(),
                &records(),
            );
        }
        Some("scene") => {
            let runs = arguments.get(1).and_then(|runs| runs.parse().ok()).expect("how many runs");
            scene::play(scene::tier_from_environment(), runs, &records(), || {
                let mut command = Command::new("/proc/self/exe");
                command.arg("agent");
                command
            });
        }
        first => {
            let runs = first.and_then(|runs| runs.parse().ok()).unwrap_or(50);
            let tier = arguments.get(1).map_or("Subreaper", |tier| match tier.as_str() {
                "cgroup" => "Cgroup",
                "strict" => "Strict",
                _ => "Subreaper",
            });
            let root = rustix::process::geteuid().is_root();
            let users = if root { &[None, Some("65534")][..] } else { &[None] };
            return if users.iter().all(|user| measure(tier, runs, *user)) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
    }
    ExitCode::SUCCESS
}

/// Plays the scene as that user, and prints the table; whether it came to its end.
fn measure(tier: &str, runs: usize, user: Option<&str>) -> bool {
    let place = std::env::temp_dir().join(format!("talkpath-tree-gone-{}", std::process::id()));
    let (program, records) = (place.join("program"), place.join("records"));
    std::fs::create_dir_all(&records).expect("a place");
    std::fs::copy(std::env::current_exe().expect("this program"), &program).expect("a copy");
    for (path, mode) in [(&place, 0o755), (&program, 0o755), (&records, 0o700)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("permissions");
    }
    let mut command = match user {
        None => Command::new(&program),
        Some(user) => {
            let number = user.parse().expect("a number");
            std::os::unix::fs::chown(&records, Some(number), Some(number)).expect("to be given away");
            let mut command = Command::new("setpriv");
            command.args(["--reuid", user, "--regid", user, "--clear-groups"]).arg(&program);
            command
        }
    };
    command.args(["scene", &runs.to_string()]).env("TALKPATH_TIER", tier).env("TALKPATH_RECORDS", &records);
    let output = command.stderr(std::process::Stdio::inherit()).output().expect("a scene");
    let _ = std::fs::remove_dir_all(Path::new(&place));

    let mut rows: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        if let [shape, end, us] = fields[..] {
            let us = us.parse().expect("microseconds");
            rows.entry((shape.to_owned(), end.to_owned())).or_default().push(us);
        }
    }
    println!(
        "\n{tier} tier, {}: ms until nothing is left, p50 / p99 / longest",
        user.map_or("own user", |_| "user 65534")
    );
    let mut all = Vec::new();
    for ((shape, end), times) in &mut rows {
        println!("{shape:<22}{end:<12}{:>5} runs  {}", times.len(), quantiles(times));
        all.extend_from_slice(times);
    }
    println!("{:<34}{:>5} runs  {}", "all", all.len(), quantiles(&mut all));
    let whole = output.status.success() && all.len() == scene::SHAPES.len() * scene::ENDS.len() * runs;
    println!("survivors: {}", if whole { "none" } else { "THE SCENE DID NOT COME TO ITS END" });
    whole
}

fn quantiles(times: &mut [u64]) -> String {
    times.sort_unstable();
    let at = |part: f64| times.get(((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1)));
    let ms = |us: Option<&u64>| us.map_or(f64::NAN, |us| *us as f64 / 1_000.0);
    format!("{:>6.1} {:>6.1} {:>6.1}", ms(at(0.5)), ms(at(0.99)), ms(times.last()))
}
