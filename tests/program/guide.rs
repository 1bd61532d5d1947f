//! docs/guide.md, followed word by word in a fresh folder: its files are made, its commands are run, and they print what
//! stands there. `[..]` and a line of `...` stand for what differs.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{Running, have};
use snapbox::Assert;

/// What the guide asks for.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// A file, whole.
    File { name: String, text: String },
    /// A command, and what it prints.
    Command { line: usize, command: String, output: String },
}

/// A block is a file if the text before it ends with the file's name and a colon, and commands if it is marked `console`.
fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut paragraph = String::new();
    let mut lines = (1..).zip(page.lines());
    while let Some((_, line)) = lines.next() {
        let Some(mark) = line.strip_prefix("```") else {
            if line.is_empty() {
                // A name is where the block follows, with nothing between but this line.
                continue;
            }
            line.clone_into(&mut paragraph);
            continue;
        };
        let block: Vec<_> = lines.by_ref().take_while(|(_, line)| *line != "```").collect();
        if mark == "console" {
            for (line, text) in block {
                if let Some(command) = text.strip_prefix("$ ") {
                    steps.push(Step::Command { line, command: command.to_owned(), output: String::new() });
                } else if let Some(Step::Command { output, .. }) = steps.last_mut() {
                    output.extend([text, "\n"]);
                }
            }
        } else {
            let name = paragraph.strip_suffix("`:").and_then(|text| text.rsplit('`').next());
            let name = name.unwrap_or_else(|| panic!("a block of no file after: {paragraph}")).to_owned();
            let text = block.iter().flat_map(|(_, line)| [line, "\n"]).collect();
            steps.push(Step::File { name, text });
        }
        paragraph.clear();
    }
    steps
}

/// A shell that runs one command after the other, and says where each ends.
struct Shell {
    running: Running,
    stdin: std::process::ChildStdin,
}

impl Shell {
    const END: &str = "-- the command ended with";

    fn start(folder: &Path) -> Self {
        let mut command = Command::new("bash");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide-target");
        command.current_dir(folder).env("CARGO_TARGET_DIR", target).env("RUST_BACKTRACE", "0");
        // A third of the time to build; it shows in backtraces only.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.env_remove("RUSTFLAGS").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "exec 2>&1").unwrap();
        Self { running: Running::of(child), stdin }
    }

    /// What a command prints, and its exit code.
    fn run(&mut self, command: &str) -> (String, String) {
        writeln!(self.stdin, "{command}\necho \"{} $?\"", Self::END).unwrap();
        let mut printed = String::new();
        loop {
            let line = self.running.line_within(MINUTES);
            // What a command leaves open has no line end.
            if let Some((last, code)) = line.split_once(Self::END) {
                printed.push_str(last);
                return (printed, code.trim().to_owned());
            }
            printed.extend([&*line, "\n"]);
        }
    }
}

/// How long a command may be silent: it may build.
const MINUTES: Duration = Duration::from_secs(300);

fn follow(folder: &Path, steps: &[Step]) {
    let mut shell = Shell::start(folder);
    let assert = Assert::new().action(snapbox::assert::Action::Verify);
    for step in steps {
        match step {
            Step::File { name, text } => {
                let (printed, code) = shell.run("pwd");
                assert_eq!(code, "0");
                fs::write(Path::new(printed.trim_end()).join(name), text).unwrap();
            }
            Step::Command { line, command, output } => {
                println!("{command}");
                let (printed, code) = shell.run(command);
                let compared = assert.try_eq(Some(command), printed.into(), output.into());
                // What is to fail says so.
                let fails = output.contains(" fails with ");
                let differs = compared.err().map(|error| error.to_string());
                assert!(differs.is_none(), "docs/guide.md:{line}: {}", differs.unwrap_or_default());
                assert_eq!(code == "0", !fails, "docs/guide.md:{line}: {command} ended with {code}");
            }
        }
    }
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide.md")).unwrap()
}

/// An empty folder with a link to this repository in it, outside of any workspace, and removed when this is dropped. Its path
/// is the same in every run, so that cargo builds only what changed since the last one.
struct Fresh {
    folder: PathBuf,
    /// Held, so that runs of one checkout follow each other.
    _lock: fs::File,
}

impl Fresh {
    fn new(name: &str) -> Self {
        let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.lock"));
        let lock = fs::File::create(lock).unwrap();
        lock.lock().unwrap();
        let mut hasher = DefaultHasher::new();
        env!("CARGO_TARGET_TMPDIR").hash(&mut hasher);
        let folder = std::env::temp_dir().join(format!("roundtrip-{name}-{:016x}", hasher.finish()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_MANIFEST_DIR"), folder.join("roundtrip")).unwrap();
        Self { folder, _lock: lock }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
#[ignore = "builds a project of its own, which takes a minute: .ci/run tests"]
fn the_guide_works_word_by_word() {
    if !have(&["bash", "nc", "patch"]) {
        return;
    }
    let mut steps = steps(&page());
    assert!(steps.len() >= 30, "{}", steps.len());
    // The fuzzer is another build of everything, which takes minutes: `.ci/nightly guide` asks for it.
    if std::env::var_os("ROUNDTRIP_SLOW_TESTS").is_none() {
        let fuzzing =
            |step: &Step| matches!(step, Step::Command { command, .. } if command.contains("RUSTFLAGS"));
        steps.truncate(steps.iter().position(fuzzing).unwrap());
    }
    follow(&Fresh::new("guide").folder, &steps);
}

#[test]
fn blocks_are_files_or_commands() {
    let page = "Text, `no/file` in it.\n\nThe file. `src/x.rs`:\n\n```rust\nfn x() {}\n```\n\nText\n\n```console\n$ one\nout\n...\n$ two\n```\n";
    let command = |line, command: &str, output: &str| Step::Command {
        line,
        command: command.to_owned(),
        output: output.to_owned(),
    };
    let file = Step::File { name: "src/x.rs".to_owned(), text: "fn x() {}\n".to_owned() };
    assert_eq!(steps(page), [file, command(12, "one", "out\n...\n"), command(15, "two", "")]);
}

#[test]
#[should_panic(expected = "docs/guide.md:7")]
fn what_is_not_as_it_stands_there_is_found() {
    let step = |command: &str, output: &str| Step::Command {
        line: 7,
        command: command.to_owned(),
        output: output.to_owned(),
    };
    let steps = [step("echo one", "one\n"), step("echo two", "three\n")];
    follow(&Fresh::new("guide-wrong").folder, &steps);
}
