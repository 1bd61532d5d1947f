//! What is made from the definitions of the verbs and options: the help, the completions and the manual.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Finished, ROUNDTRIP, have, nobody, place, roundtrip, run};
use snapbox::{Assert, Data};

/// What it prints where nobody says how wide lines are. It ends well.
fn told(args: &[&str]) -> String {
    let finished = run(roundtrip(args).env_remove("COLUMNS"));
    assert_eq!((finished.code, &*finished.stderr), (Some(0), ""), "{args:?}");
    finished.stdout
}

fn help(verb: &[&str]) -> String {
    told(&[verb, &["--help"]].concat())
}

/// The verbs that a help names.
fn named(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.map_while(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names.map(ToOwned::to_owned).collect()
}

/// Every verb, word by word, those that have verbs below them as well.
fn verbs() -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    let mut done = 0;
    while let Some(verb) = all.get(done) {
        let words: Vec<_> = verb.iter().map(String::as_str).collect();
        let below = named(&help(&words)).into_iter().map(|name| [&**verb, &[name]].concat());
        let below: Vec<_> = below.collect();
        all.extend(below);
        done += 1;
    }
    all.remove(0);
    assert!(all.len() > 10, "{all:?}");
    all
}

#[test]
fn the_help_of_every_verb_has_examples_of_it() {
    for verb in verbs() {
        let words: Vec<_> = verb.iter().map(String::as_str).collect();
        let help = help(&words);
        let examples = help.split_once("\nExamples:\n").map(|(_, examples)| examples);
        let examples = examples.unwrap_or_else(|| panic!("{verb:?} has none"));
        let mut lines = examples.lines().take_while(|line| !line.is_empty());
        assert!(lines.all(|line| line.contains(&format!("roundtrip {}", verb[0]))), "{verb:?}: {examples}");
    }
}

/// A change of the help is seen where it is reviewed. `SNAPSHOTS=overwrite` writes the file anew.
#[test]
fn the_help_is_as_it_was() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help.txt");
    let mut all = String::new();
    for verb in [Vec::new()].into_iter().chain(verbs()) {
        let words: Vec<_> = verb.iter().map(String::as_str).collect();
        let command = [&["roundtrip"], &*words].concat().join(" ");
        all.extend([&*format!("==== {command} --help\n"), &*help(&words), "\n"]);
    }
    // All that differs from system to system.
    if cfg!(windows) {
        all = all
            .replace("[default: smol]", "[default: reactor]")
            .replace("--driver           smol   ", "--driver           reactor")
            .replace("roundtrip.exe", "roundtrip");
    }
    Assert::new().action_env("SNAPSHOTS").eq(all, Data::read_from(&file, None).raw());
}

#[test]
fn bash_completes_verbs_and_options() {
    if !have(&["bash"]) {
        return;
    }
    let script = place("completion.bash", |file| fs::write(file, told(&["completions", "bash"])).unwrap());
    let complete = |words: &[&str]| {
        let last = words.len();
        let call = format!(
            "source \"$1\" && shift && COMP_WORDS=(roundtrip \"$@\") COMP_CWORD={last} && \
             _roundtrip roundtrip \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{last} - 1]}}\" && \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let bash = run(Command::new("bash").args(["-c", &call, "bash"]).arg(&script).args(words));
        assert_eq!((bash.code, &*bash.stderr), (Some(0), ""), "{words:?}");
        bash.stdout.lines().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let syntax = run(Command::new("bash").arg("-n").arg(&script));
    assert_eq!((syntax.code, &*syntax.stderr), (Some(0), ""));
    assert_eq!(complete(&["che"]), ["check"]);
    assert_eq!(complete(&["s"]), ["serve", "send", "sim"]);
    assert_eq!(complete(&["load", "--sv"]), ["--svg"]);
    assert_eq!(complete(&["check", "--driver", ""]), ["std", "smol", "tokio", "reactor", "uring"]);
    assert_eq!(complete(&["sim", "determinism", "so"]), ["soak"]);
}

#[test]
fn every_shell_is_told_all_verbs() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = told(&["completions", shell]);
        for verb in verbs() {
            assert!(script.contains(verb.last().unwrap()), "{shell}: {verb:?}");
        }
    }
}

/// The manual in a folder of the test's own.
fn manual(test: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("man-{test}"));
    let _ = fs::remove_dir_all(&folder);
    let written = told(&["man", folder.join("man1").to_str().unwrap()]);
    let pages = fs::read_dir(folder.join("man1")).unwrap().count();
    assert_eq!(written, format!("{pages} pages written, the first is roundtrip.1\n"));
    folder.join("man1")
}

#[test]
fn every_verb_has_its_page_with_its_examples() {
    let folder = manual("pages");
    let plain =
        |page: &str| page.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\&", "").replace("\\\\", "\\");
    for verb in verbs() {
        let words: Vec<_> = verb.iter().map(String::as_str).collect();
        let page =
            plain(&fs::read_to_string(folder.join(format!("roundtrip-{}.1", words.join("-")))).unwrap());
        let help = help(&words);
        let examples =
            help.split_once("\nExamples:\n").unwrap().1.lines().take_while(|line| !line.is_empty());
        for example in examples {
            assert!(page.contains(&format!("\n{}\n", example.trim())), "{verb:?}: {example}\n{page}");
        }
        assert!(page.contains(&format!(".TH roundtrip-{} 1", words.join("-"))), "{page}");
        assert!(help.contains("Exit codes:") == page.contains(".SH \"EXIT CODES\""), "{verb:?}");
    }
    let first = fs::read_to_string(folder.join("roundtrip.1")).unwrap();
    assert_eq!(first, told(&["man"]));
    assert!(first.contains(".SH DEFAULTS"));
}

#[test]
fn the_pages_are_sound() {
    if !have(&["groff"]) {
        return;
    }
    for page in fs::read_dir(manual("groff")).unwrap() {
        let page = page.unwrap().path();
        let groff = run(Command::new("groff").args(["-man", "-Tutf8", "-Kutf8", "-ww", "-z"]).arg(&page));
        assert_eq!((groff.code, &*groff.stderr), (Some(0), ""), "{}", page.display());
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let file = place("no-folder", |file| fs::write(file, "").unwrap());
    let refused = run(&mut roundtrip(["man", file.to_str().unwrap()]));
    assert_eq!((refused.code, &*refused.stdout), (Some(2), ""));
    assert!(
        refused.stderr.starts_with(&format!("error: cannot write to {}: ", file.display())),
        "{}",
        refused.stderr
    );
}

/// Commands that tell something to people: help, and errors of each kind.
fn telling() -> Vec<Vec<String>> {
    let nobody = nobody().to_string();
    let commands: [&[&str]; 7] = [
        &["--help"],
        &["-h"],
        &["load", "--help"],
        &["check", "--nope"],
        &["serve", "host:port"],
        &[],
        &["check", &nobody],
    ];
    commands.iter().map(|words| words.iter().map(ToString::to_string).collect()).collect()
}

fn has_no_codes(words: &[String], finished: &Finished) {
    let all = [&*finished.stdout, &*finished.stderr].concat();
    assert!(all.len() > 20 && !all.contains('\u{1b}'), "{words:?}: {all:?}");
}

#[test]
fn where_there_is_no_terminal_there_are_no_escape_codes() {
    for words in telling() {
        has_no_codes(
            &words,
            &run(roundtrip(&words).env("CLICOLOR_FORCE", "1").env("TERM", "xterm-256color")),
        );
        has_no_codes(&words, &run(roundtrip(&words).env("NO_COLOR", "1")));
    }
}

#[test]
fn on_a_terminal_no_color_is_heeded() {
    if !have(&["script"]) {
        return;
    }
    for words in telling() {
        let command = [&[ROUNDTRIP.to_owned()], &*words].concat().join(" ");
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).env("NO_COLOR", "1").env("TERM", "xterm-256color");
        has_no_codes(&words, &run(&mut script));
    }
}
