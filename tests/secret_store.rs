//! A store at rest: what it keeps, whom it refuses, and what two writers and a killed one leave.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::thread;

use talkpath::system::secret::{KeySource, SecretRef, SecretStore};
use talkpath::{Error, ErrorKind};

/// A directory of the test's own, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("talkpath-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("made");
        Self(path)
    }

    fn store(&self) -> PathBuf {
        self.0.join("secrets.age")
    }

    fn key(&self) -> KeySource {
        KeySource::File(self.0.join("key"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_set_is_there_after_opening_it_again() {
    let directory = Directory::new("set");
    let mut store = SecretStore::create(&directory.store(), &directory.key()).expect("created");
    let long = vec![0xA5; 60_000];
    for (name, value) in
        [("ONE", &b"first"[..]), ("BYTES", &[0, 255, b'"', b'\\', b'\n']), ("LONG", &long), ("LONGER", &long)]
    {
        store.set(&secret(name, value)).expect("set");
    }
    let store = open(&directory).expect("opened");
    assert_eq!(store.list().map(|info| info.name).collect::<Vec<_>>(), ["BYTES", "LONG", "LONGER", "ONE"]);
    assert!(store.list().all(|info| info.rotated.is_none() && info.created > 1_700_000_000));
    assert_eq!(value(&store, "ONE"), b"first");
    assert_eq!(value(&store, "BYTES"), [0, 255, b'"', b'\\', b'\n']);
    assert!(value(&store, "LONG") == long && value(&store, "LONGER") == long);
    assert!(store.get("TWO").is_err_and(|error| error.kind() == ErrorKind::NotFound));
}

#[test]
fn secrets_are_rotated_and_deleted_by_name() {
    let directory = Directory::new("rotate");
    let mut store = SecretStore::create(&directory.store(), &directory.key()).expect("created");
    store.set(&secret("KEY", b"old")).expect("set");
    let held = store.get("KEY").expect("there").clone();
    assert_said(store.set(&secret("KEY", b"x")), ErrorKind::InvalidArgument, "has a secret KEY already");
    assert_said(store.rotate(&secret("OTHER", b"x")), ErrorKind::NotFound, "the store has no secret OTHER");
    store.rotate(&secret("KEY", b"new")).expect("rotated");
    assert_eq!(held.expose(<[u8]>::to_vec).expect("opened"), b"old");
    let mut again = open(&directory).expect("opened");
    assert_eq!(value(&again, "KEY"), b"new");
    assert!(again.list().all(|info| info.rotated >= Some(info.created)));
    again.delete("KEY").expect("deleted");
    assert_said(again.delete("KEY"), ErrorKind::NotFound, "the store has no secret KEY");
    assert!(store.get("KEY").is_ok());
    store.reload().expect("read anew");
    assert_eq!(store.list().len(), 0);
}

#[test]
fn names_are_checked_and_a_wrong_one_is_not_shown() {
    let directory = Directory::new("names");
    let mut store = SecretStore::create(&directory.store(), &directory.key()).expect("created");
    for name in ["", "1ST", "a b", "sk/live", "schlüssel", &"N".repeat(129)] {
        let error = store.set(&secret(name, b"x")).expect_err("no name");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(name.is_empty() || !error.to_string().contains(name), "{error}");
    }
    store.set(&secret(&"N".repeat(128), b"x")).expect("set");
}

#[test]
fn files_are_ours_alone_and_whole() {
    let directory = Directory::new("files");
    let mut store = SecretStore::create(&directory.store(), &directory.key()).expect("created");
    // What a writer leaves that was killed in the middle.
    fs::write(directory.0.join("secrets.age.new"), b"half").expect("written");
    store.set(&secret("KEY", b"value")).expect("set");
    let mut names: Vec<_> =
        fs::read_dir(&directory.0).expect("listed").map(|file| file.expect("file").file_name()).collect();
    names.sort();
    assert_eq!(names, ["key", "secrets.age", "secrets.age.lock"]);
    for name in names {
        let mode = fs::metadata(directory.0.join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let sealed = fs::read(directory.store()).expect("read");
    assert!(sealed.starts_with(b"age-encryption.org/v1\n-> X25519 "));
    assert!(!sealed.windows(5).any(|window| window == b"value"));
}

#[test]
fn a_store_or_key_that_is_there_is_never_overwritten() {
    let directory = Directory::new("again");
    let store = SecretStore::create(&directory.store(), &directory.key()).expect("created");
    assert!(SecretStore::create(&directory.store(), &directory.key()).is_err());
    let error = SecretStore::create(&directory.0.join("other.age"), &directory.key()).expect_err("a key is there");
    assert!(error.to_string().contains("a new key in file:"), "{error}");
    assert_eq!(open(&directory).expect("opened").recipient(), store.recipient());
}

#[test]
fn every_flipped_byte_and_every_cut_is_refused() {
    let directory = Directory::new("flipped");
    let mut store = SecretStore::create(&directory.store(), &directory.key()).expect("created");
    store.set(&secret("KEY", b"canary-0123456789")).expect("set");
    let sealed = fs::read(directory.store()).expect("read");
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1;
        let error = with_content(&directory, &flipped);
        assert_eq!(error.kind(), ErrorKind::AccessDenied, "byte {at}: {error}");
        assert!(error.to_string().contains("secrets.age"), "{error}");
    }
    for len in 0..sealed.len() {
        assert_eq!(with_content(&directory, &sealed[..len]).kind(), ErrorKind::AccessDenied, "cut to {len}");
    }
    let longer = [&sealed[..], b"x"].concat();
    assert!(with_content(&directory, &longer).to_string().ends_with("its contents have been changed or cut short"));
    assert!(with_content(&directory, b"KEY=canary").to_string().contains("not an age v1 file"));
}

#[test]
fn another_key_is_refused() {
    let directory = Directory::new("other");
    SecretStore::create(&directory.store(), &directory.key()).expect("created");
    let other = KeySource::File(directory.0.join("key2"));
    SecretStore::create(&directory.0.join("two.age"), &other).expect("created");
    let error = SecretStore::open(&directory.store(), &[other]).expect_err("another key");
    assert!(error.to_string().ends_with("it was made for another key"), "{error}");
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let directory = Directory::new("mode");
    SecretStore::create(&directory.store(), &directory.key()).expect("created");
    for mode in [0o644, 0o640, 0o604, 0o602, 0o620] {
        fs::set_permissions(directory.0.join("key"), Permissions::from_mode(mode)).expect("set");
        let said = format!("has mode {mode:04o}, which lets others at it; wanted 0600");
        assert_said(open(&directory), ErrorKind::AccessDenied, &said);
    }
    fs::set_permissions(directory.0.join("key"), Permissions::from_mode(0o400)).expect("set");
    open(&directory).expect("a key that not even we may write");
    fs::set_permissions(directory.store(), Permissions::from_mode(0o622)).expect("set");
    assert_said(open(&directory), ErrorKind::AccessDenied, "secrets.age has mode 0622");
}

#[test]
fn a_key_of_another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        // Nobody else may give files away; that a user's own is taken is what all other tests show.
        return;
    }
    let directory = Directory::new("owner");
    SecretStore::create(&directory.store(), &directory.key()).expect("created");
    chown(directory.0.join("key"), Some(12_345), None).expect("given away");
    assert_said(open(&directory), ErrorKind::AccessDenied, "belongs to user 12345, wanted user 0, who runs this");
    chown(directory.0.join("key"), Some(0), None).expect("taken back");
    chown(directory.store(), Some(12_345), None).expect("given away");
    assert_said(open(&directory), ErrorKind::AccessDenied, "secrets.age belongs to user 12345");
}

#[test]
fn what_is_no_key_file_is_refused_without_showing_it() {
    let directory = Directory::new("nokey");
    SecretStore::create(&directory.store(), &directory.key()).expect("created");
    let key = fs::read(directory.0.join("key")).expect("read");
    let twice = [&key[..], &key[..]].concat();
    for (content, said) in [
        (&b""[..], "it holds no key"),
        (b"# only a comment\n\n", "it holds no key"),
        (&twice, "it holds more than one key"),
        (b"AGE-SECRET-KEY-1CANARY", "something else than a key of age"),
        (&key.to_ascii_lowercase(), "something else than a key of age"),
        (&[b'x'; 5_000], "is longer than 4096 bytes"),
    ] {
        write_private(&directory.0.join("key"), content);
        let error = open(&directory).expect_err("no key");
        assert!(error.to_string().contains(said) && !error.to_string().contains("CANARY"), "{error}");
    }
    let commented = [b"# created: today\n# public key: age1...\n", &key[..]].concat();
    write_private(&directory.0.join("key"), &commented);
    open(&directory).expect("as age-keygen writes it");
    fs::remove_file(directory.0.join("key")).expect("removed");
    nix::unistd::mkfifo(&directory.0.join("key"), nix::sys::stat::Mode::S_IRUSR).expect("made");
    assert_said(open(&directory), ErrorKind::AccessDenied, "is no regular file");
}

#[test]
fn each_source_that_was_tried_is_named_with_its_reason() {
    let directory = Directory::new("sources");
    SecretStore::create(&directory.store(), &directory.key()).expect("created");
    let sources = [
        KeySource::File(directory.0.join("none")),
        KeySource::Systemd("talkpath".into()),
        KeySource::Keyring(format!("talkpath-none-{}", std::process::id())),
        KeySource::Passphrase(secret("passphrase", b"correct horse")),
    ];
    let said = SecretStore::open(&directory.store(), &sources).expect_err("no key").to_string();
    for part in [
        "no key: file:",
        "/none: No such file",
        "systemd:talkpath: not started by systemd with credentials",
        "keyring:talkpath-none-",
        "passphrase: the store was not made with a passphrase",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    assert!(!said.contains("horse"));
    assert_said(SecretStore::open(&directory.store(), &[]), ErrorKind::AccessDenied, "no source of the key was named");
    let with_a_good_one = [&sources[..], &[directory.key()]].concat();
    SecretStore::open(&directory.store(), &with_a_good_one).expect("the last has it");
}

#[test]
fn sources_are_read_from_text_and_a_misplaced_secret_is_not_shown() {
    for text in ["file:/etc/talkpath/key", "systemd:talkpath", "keyring:talkpath", "passphrase"] {
        assert_eq!(text.parse::<KeySource>().expect("a source").to_string(), text);
    }
    for text in ["", "file:", "systemd:a/b", "systemd:.", "keyring:", "env:KEY", "sk-live-0123", "AGE-SECRET-KEY-1QQ"] {
        let error = text.parse::<KeySource>().expect_err("no source");
        assert!(error.to_string().ends_with("file:PATH, systemd:NAME, keyring:NAME or passphrase"), "{error}");
        assert!(text.is_empty() || !error.to_string().contains("0123"), "{error}");
    }
}

#[test]
fn a_passphrase_opens_what_it_made() {
    let directory = Directory::new("passphrase");
    let source = KeySource::Passphrase(secret("passphrase", b"correct horse battery"));
    let short = KeySource::Passphrase(secret("passphrase", b"short"));
    assert_said(SecretStore::create(&directory.store(), &short), ErrorKind::InvalidArgument, "under 8 bytes");
    let mut store = SecretStore::create(&directory.store(), &source).expect("created");
    store.set(&secret("KEY", b"value")).expect("set");
    let again = SecretStore::open(&directory.store(), &[source]).expect("opened");
    assert_eq!(value(&again, "KEY"), b"value");
    let wrong = KeySource::Passphrase(secret("passphrase", b"correct horse batterx"));
    assert_said(SecretStore::open(&directory.store(), &[wrong]), ErrorKind::AccessDenied, "made for another key");
    let header = fs::read(directory.store()).expect("read");
    let header = String::from_utf8_lossy(&header).into_owned();
    assert!(header.contains("\n-> talkpath-argon2id ") && header.contains(" 65536 3 4\n"), "{header}");
}

#[test]
fn the_kernels_keyring_keeps_a_key() {
    let directory = Directory::new("keyring");
    let name = format!("talkpath-test-{}", std::process::id());
    let source = KeySource::Keyring(name.clone());
    let mut store = match SecretStore::create(&directory.store(), &source) {
        Ok(store) => store,
        // Containers often forbid these calls; then it must say so.
        Err(error) => return assert!(error.os_error().is_some() && error.to_string().contains("keyring:"), "{error}"),
    };
    store.set(&secret("KEY", b"value")).expect("set");
    let again = SecretStore::open(&directory.store(), std::slice::from_ref(&source)).expect("opened");
    assert_eq!(value(&again, "KEY"), b"value");
    assert!(SecretStore::create(&directory.0.join("two.age"), &source).is_err());
    unlink_key(&name);
    assert!(SecretStore::open(&directory.store(), &[source]).is_err());
}

#[test]
fn two_writers_lose_nothing_of_each_others() {
    let directory = Directory::new("writers");
    SecretStore::create(&directory.store(), &directory.key()).expect("created");
    thread::scope(|scope| {
        for writer in 0..4 {
            let directory = &directory;
            scope.spawn(move || {
                let mut store = open(directory).expect("opened");
                for number in 0..10 {
                    store.set(&secret(&format!("W{writer}_{number}"), b"value")).expect("set");
                }
            });
        }
    });
    assert_eq!(open(&directory).expect("opened").list().len(), 40);
}

#[test]
fn limits_hold() {
    let directory = Directory::new("limits");
    let mut store = SecretStore::create(&directory.store(), &directory.key()).expect("created");
    let many: Vec<_> = (0..1_025).map(|number| secret(&format!("N{number}"), b"x")).collect();
    assert_said(store.set_all(&many), ErrorKind::LimitExceeded, "a store of 1025 secrets, wanted 1024 at most");
    let large: Vec<_> = (0..13).map(|number| secret(&format!("L{number}"), &[7; 65_536])).collect();
    assert_said(store.set_all(&large), ErrorKind::LimitExceeded, "bytes of text");
    assert_eq!(open(&directory).expect("opened").list().len(), 0);
    store.set_all(&many[..1_024]).expect("set");
    assert_eq!(open(&directory).expect("opened").list().len(), 1_024);
}

#[test]
fn what_it_is_shown_as_says_no_secret() {
    let directory = Directory::new("shown");
    let mut store = SecretStore::create(&directory.store(), &directory.key()).expect("created");
    store.set(&secret("KEY", b"canary")).expect("set");
    let shown = format!("{store:?}");
    assert!(shown.contains("secrets: 1") && !shown.contains("canary"), "{shown}");
}

fn secret(name: &str, value: &[u8]) -> SecretRef {
    SecretRef::from_bytes(name, &mut value.to_vec()).expect("sealed")
}

fn value(store: &SecretStore, name: &str) -> Vec<u8> {
    store.get(name).expect("there").expose(<[u8]>::to_vec).expect("opened")
}

fn open(directory: &Directory) -> Result<SecretStore, Error> {
    SecretStore::open(&directory.store(), &[directory.key()])
}

fn with_content(directory: &Directory, content: &[u8]) -> Error {
    fs::write(directory.store(), content).expect("written");
    open(directory).expect_err("damaged")
}

#[track_caller]
fn assert_said<T>(result: Result<T, Error>, kind: ErrorKind, said: &str) {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(said), "{said:?} in {error}");
}

fn write_private(path: &Path, content: &[u8]) {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).expect("made");
    file.write_all(content).expect("written");
}

/// Takes the test's key out of the keyring of this user.
#[allow(unsafe_code)]
fn unlink_key(name: &str) {
    let name = std::ffi::CString::new(name).expect("no zero byte");
    // SAFETY: two strings ended by zero, and numbers.
    unsafe {
        let user = i64::from(libc::KEY_SPEC_USER_KEYRING);
        let search = i64::from(libc::KEYCTL_SEARCH);
        let key = libc::syscall(libc::SYS_keyctl, search, user, c"user".as_ptr(), name.as_ptr(), 0_usize);
        assert_eq!(libc::syscall(libc::SYS_keyctl, i64::from(libc::KEYCTL_UNLINK), key, user), 0);
    }
}
