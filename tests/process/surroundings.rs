//! What a process gets of its agent: three descriptors, clean signals, a listed environment, no core.

use talkpath::system::process::{ProcessSpec, TerminalSize};

use crate::{LIMIT, manager, python, sh, text};

#[test]
fn it_has_three_descriptors_and_nothing_of_the_agents() {
    // Inherited by whoever does not close it.
    let leak = std::fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let manager = manager();
    let script = "import os; print(sorted(int(fd) for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}')))";
    for pty in [None, Some(TerminalSize::default())] {
        let mut spec = python(script);
        spec.pty = pty;
        assert_eq!(text(&manager.start(&spec).unwrap()).trim_end(), "[0, 1, 2]");
    }
    drop(leak);
}

#[test]
fn its_signals_are_clean_and_it_dumps_no_core() {
    let manager = manager();
    let said = text(&manager.start(&sh("grep -E 'Sig(Blk|Ign)' /proc/self/status; ulimit -c")).expect("a process"));
    let words: Vec<_> = said.split_whitespace().collect();
    let [_, blocked, _, ignored, core] = words[..] else { panic!("{said}") };
    let set = |text| u64::from_str_radix(text, 16).expect("a set of signals");
    // 32 and 33 are glibc's own: its posix_spawn has them ignored until they are needed.
    assert_eq!((set(blocked), set(ignored) & !(3 << 31), core), (0, 0, "0"));
}

#[test]
fn its_environment_is_a_list() {
    let manager = manager();
    let mut spec = ProcessSpec::argv(["env"]);
    // Cargo sets it for every test.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    spec.env.insert("GREETING".into(), "hello".into());
    let said = text(&manager.start(&spec).unwrap());
    assert!(said.contains("PATH=") && said.contains("GREETING=hello"), "{said}");
    assert!(!said.contains("CARGO"), "{said}");
    spec.inherit.push("CARGO_MANIFEST_DIR".into());
    assert!(text(&manager.start(&spec).unwrap()).contains("CARGO_MANIFEST_DIR="));
}

#[test]
fn it_starts_where_it_is_told_to() {
    let manager = manager();
    let mut spec = sh("pwd");
    spec.cwd = Some("/usr".into());
    assert_eq!(text(&manager.start(&spec).unwrap()), "/usr\n");
}

#[test]
fn an_agent_with_thousands_of_open_files_is_served() {
    let (soft, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, hard.min(8_192), hard).unwrap();
    let many: Vec<_> = (0..1_500).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    let manager = manager();
    let process = manager.start(&sh("read x; echo $x")).unwrap();
    process.send_line("through", Some(LIMIT)).unwrap();
    assert_eq!(text(&process), "through\n");
    drop(many);
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, soft, hard).unwrap();
}
