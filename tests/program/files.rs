//! Files that options ask for: made beside what is there, and put in its place once they are whole.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Finished, roundtrip, run};
#[cfg(unix)]
use crate::common::{Server, after, ping, round_trip};
#[cfg(unix)]
use std::os::unix::fs::{PermissionsExt, symlink};

/// An empty folder of the test's own.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("files-{name}"));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Every command that writes a file that an option names; the name comes last.
const WRITERS: [&[&str]; 6] = [
    &["check", "--bytes", "10", "--record"],
    &["load", "--count", "10", "-c", "1", "--svg"],
    &["load", "--count", "10", "-c", "1", "--hgrm"],
    &["sim", "run", "echo", "--seeds", "0..500", "--report"],
    &["sim", "replay", "echo", "--seed", "2", "--trace"],
    &["sim", "explain", "echo", "--seed", "2", "--html"],
];

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[cfg(unix)]
#[test]
fn a_link_is_replaced_and_what_it_points_to_is_left_alone() {
    let folder = folder("links");
    let (victim, file) = (folder.join("victim"), folder.join("file"));
    fs::write(&victim, "precious").unwrap();
    for command in WRITERS {
        let _ = fs::remove_file(&file);
        symlink(&victim, &file).unwrap();
        let finished = run(roundtrip(command).arg(&file));
        assert_eq!(finished.code, Some(0), "{command:?}: {finished:?}");
        assert_eq!(fs::read(&victim).unwrap(), b"precious", "{command:?}");
        assert!(fs::symlink_metadata(&file).unwrap().is_file(), "{command:?}");
        assert_eq!(names(&folder), ["file", "victim"], "{command:?}");
    }
    let manual = folder.join("manual");
    fs::create_dir(&manual).unwrap();
    symlink(&victim, manual.join("roundtrip.1")).unwrap();
    assert_eq!(run(roundtrip(["man"]).arg(&manual)).code, Some(0));
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert!(fs::read(manual.join("roundtrip.1")).unwrap().starts_with(b".ie"));
}

#[cfg(unix)]
#[test]
fn a_record_is_its_owners_alone_and_no_file_becomes_more_open() {
    let folder = folder("modes");
    let file = folder.join("file");
    let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    for command in WRITERS {
        let is_record = command.contains(&"--record");
        for before in [0o644, 0o600] {
            fs::write(&file, "before").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(before)).unwrap();
            assert_eq!(run(roundtrip(command).arg(&file)).code, Some(0));
            assert_eq!(mode(), if is_record { 0o600 } else { before }, "{command:?}");
        }
        fs::remove_file(&file).unwrap();
        assert_eq!(
            run(&mut after("umask 022;", &[command, &[file.to_str().unwrap()]].concat(), "")).code,
            Some(0)
        );
        assert_eq!(mode(), if is_record { 0o600 } else { 0o644 }, "{command:?}");
    }
}

/// No file may have a byte here: what a full disk does.
#[cfg(unix)]
#[test]
fn without_room_the_file_of_before_stays() {
    let folder = folder("full");
    let file = folder.join("file");
    fs::write(&file, "before").unwrap();
    for command in WRITERS {
        let args = [command, &[file.to_str().unwrap()]].concat();
        let Finished { code, stderr, .. } = run(&mut after("trap '' XFSZ; ulimit -f 0;", &args, ""));
        assert_eq!(code, Some(3), "{command:?}: {stderr}");
        let expected = format!("cannot write {}: File too large\n  try: ", file.display());
        assert!(stderr.contains(&expected), "{command:?}: {stderr}");
        assert_eq!(fs::read(&file).unwrap(), b"before", "{command:?}");
        assert_eq!(names(&folder), ["file"], "{command:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_read_only_stays_so() {
    let file = folder("read-only").join("file");
    fs::write(&file, "before").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    for command in WRITERS {
        let Finished { code, stderr, .. } = run(roundtrip(command).arg(&file));
        assert!(code == Some(2) && stderr.contains("cannot write "), "{command:?}: {stderr}");
        assert_eq!(fs::read(&file).unwrap(), b"before");
    }
}

/// A dash is standard output, which has the file alone then; the result goes to standard error.
#[test]
fn a_dash_is_standard_output() {
    let folder = folder("dash");
    let begins =
        ["roundtrip-record 1 ", "<svg ", "       Value ", "{\n  \"roundtrip-report\"", "{", "<!doctype"];
    for (command, begin) in WRITERS.into_iter().zip(begins) {
        let Finished { code, stdout, stderr, .. } = run(roundtrip(command).arg("-").current_dir(&folder));
        assert_eq!(code, Some(0), "{command:?}: {stderr}");
        assert!(stdout.starts_with(begin), "{command:?}: {stdout}");
        let is_result = stderr.starts_with("ok  ") || stderr.starts_with("echo");
        assert!(
            is_result && !stdout.starts_with(&stderr) && !stdout.ends_with(&stderr),
            "{command:?}: {stderr}"
        );
        assert!(names(&folder).is_empty(), "{command:?}");
    }
    let manual = run(roundtrip(["man", "-"]).current_dir(&folder));
    assert_eq!(manual.stdout, run(&mut roundtrip(["man"])).stdout);
    assert!(names(&folder).is_empty());
}

#[cfg(unix)]
#[test]
fn a_record_ends_at_its_limit_and_the_service_goes_on() {
    let file = folder("limit").join("record");
    let server = Server::start(&["--record", file.to_str().unwrap(), "--record-limit", "2kB"]);
    for _ in 0..3 {
        let mut stream = server.connect();
        ping(&mut stream).unwrap();
        assert!(round_trip(stream, &[7; 10_000]).unwrap() == [7; 10_000]);
    }
    let Finished { code, stderr, .. } = server.stop();
    assert_eq!(code, Some(0), "{stderr}");
    let warning = "warning: the record ends here, at its limit of 2,000 bytes: ";
    assert_eq!(stderr.matches("warning").count(), 1, "{stderr}");
    assert!(stderr.starts_with(warning) && stderr.contains("\n  try: --record-limit "), "{stderr}");
    assert!(fs::metadata(&file).unwrap().len() <= 2000);
    let replayed = run(roundtrip(["replay"]).arg(&file));
    assert_eq!(replayed.code, Some(3), "{replayed:?}");
    assert!(replayed.stdout.starts_with("INCOMPLETE  1 session, "), "{replayed:?}");
}
