//! How a program is started, what it is given, and how its end is told.

use talkpath::system::process::guardian::{Status, Tier};

use crate::harness::{Guard, read, shell};

#[test]
fn a_program_runs_and_its_end_is_told() {
    let mut guard = Guard::start();
    assert_eq!((guard.guardian.tier(), guard.guardian.recorded()), (Tier::Subreaper, true));
    let (id, output) = guard.spawn(shell("echo $A $PWD; exit 7"));
    assert_eq!(guard.exit_of(id), Status::Code(7));
    assert_eq!(guard.tree_gone(id), 0);
    assert_eq!(read(output), format!("b {}\n", std::env::current_dir().expect("here").display()));
}

#[test]
fn an_exit_of_137_is_not_a_kill() {
    let mut guard = Guard::start();
    let (left, _) = guard.spawn(shell("exit 137"));
    let (killed, _) = guard.spawn(shell("kill -9 $$"));
    assert_eq!(guard.exit_of(left), Status::Code(137));
    assert_eq!(guard.exit_of(killed), Status::Signal { number: 9, core_dumped: false });
}
