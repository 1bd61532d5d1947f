//! The commands in README.md, CONTRIBUTING.md and docs are run, and print what stands there.
//!
//! A block marked `console` is run; `[..]` in its output stands for what differs from run to run, and a line of `...` for
//! any lines. One marked `console,ignore` is not: it needs other hosts, stays, or is another program's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{ROUNDTRIP, run};
use snapbox::Assert;

/// A command and what it is to print.
#[derive(Debug)]
struct Shown {
    line: usize,
    command: String,
    output: String,
}

/// The commands to run, or what is wrong with a block.
fn shown(text: &str) -> Result<Vec<Shown>, String> {
    let mut all = Vec::new();
    // What an open block is marked as.
    let mut block: Option<&str> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match (block, line.strip_prefix("```"), line.strip_prefix("$ ")) {
            (None, mark, _) => block = mark,
            (Some(_), Some(_), _) => block = None,
            (Some("console"), None, Some(command)) if command.starts_with("roundtrip ") => {
                all.push(Shown { line: number, command: command.to_owned(), output: String::new() });
            }
            (Some("console"), None, Some(_)) => {
                return Err(format!(
                    "line {number}: not a command of roundtrip alone: mark the block console,ignore"
                ));
            }
            (Some("console"), None, None) => {
                let shown: &mut Shown = all.last_mut().ok_or("an output before any command")?;
                shown.output.extend([line, "\n"]);
            }
            (Some("console,ignore"), ..) | (Some(_), None, None) => {}
            (Some(mark), None, Some(_)) => {
                return Err(format!(
                    "line {number}: a command in a block marked `{mark}`, not console or console,ignore"
                ));
            }
        }
    }
    Ok(all)
}

/// Runs a command as a shell does, in a folder where it may write. Says what differs, if anything does.
fn differs(shown: &Shown) -> Result<(), String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("documents");
    fs::create_dir_all(&folder).unwrap();
    let bin = Path::new(ROUNDTRIP).parent().unwrap().display();
    let command = format!("PATH='{bin}':$PATH; exec 2>&1; {}", shown.command);
    let finished = run(Command::new("sh").arg("-c").arg(command).current_dir(folder));
    if finished.code != Some(0) {
        return Err(format!("exit code {:?}: {}", finished.code, finished.stdout));
    }
    let assert = Assert::new().action(snapbox::assert::Action::Verify);
    assert
        .try_eq(Some(&shown.command), finished.stdout.into(), (&shown.output).into())
        .map_err(|e| e.to_string())
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    // The guide's commands are another folder's, and another test's.
    let pages = pages.filter(|path| path.file_name().is_some_and(|name| name != "guide.md"));
    [root.join("README.md"), root.join("CONTRIBUTING.md")].into_iter().chain(pages).collect()
}

#[test]
fn the_documents_commands_print_what_stands_there() {
    let mut ran = Vec::new();
    let mut wrong = Vec::new();
    for path in documents() {
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display();
        let commands =
            shown(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        for shown in commands {
            if let Err(difference) = differs(&shown) {
                wrong.push(format!("{name}:{}: {}\n{difference}", shown.line, shown.command));
            }
            ran.push(format!("{name}: {}", shown.command));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("ran {}:\n{}", ran.len(), ran.join("\n"));
    // What the README shows first must be among them.
    for verb in ["check", "load", "sim run"] {
        let command = format!("README.md: roundtrip {verb}");
        assert!(ran.iter().any(|ran| ran.starts_with(&command)), "{verb} is not among {ran:?}");
    }
}

#[test]
fn what_differs_is_found() {
    let document =
        |output: &str| format!("Text\n```console\n$ roundtrip --version\n{output}\n```\n$ no command\n");
    let version = env!("CARGO_PKG_VERSION");
    for (output, is_right) in [
        (format!("roundtrip {version}"), true),
        ("roundtrip [..]".to_owned(), true),
        ("...".to_owned(), true),
        ("roundtrip 0.0".to_owned(), false),
        ("[..] roundtrip".to_owned(), false),
        (format!("roundtrip {version}\nmore"), false),
        (String::new(), false),
    ] {
        let commands = shown(&document(&output)).unwrap();
        assert_eq!((commands.len(), commands[0].line), (1, 3));
        assert_eq!(differs(&commands[0]).is_ok(), is_right, "{output}");
    }
    let fails = Shown { line: 1, command: "roundtrip --nope".to_owned(), output: "...\n".to_owned() };
    assert!(differs(&fails).is_err());
}

#[test]
fn a_command_cannot_escape_by_its_mark() {
    let block =
        |mark: &str, line: &str| shown(&format!("```{mark}\n{line}\n```\n")).map(|commands| commands.len());
    assert_eq!(block("console", "$ roundtrip check"), Ok(1));
    assert_eq!(block("console,ignore", "$ roundtrip check HOST:7"), Ok(0));
    assert_eq!(block("console,ignore", "$ cargo test"), Ok(0));
    assert_eq!((block("", "cargo test"), block("rust", "fn main() {}")), (Ok(0), Ok(0)));
    assert!(block("console", "$ cargo test").is_err() && block("console", "output").is_err());
    assert!(block("", "$ roundtrip check").is_err() && block("text", "$ roundtrip check").is_err());
}
