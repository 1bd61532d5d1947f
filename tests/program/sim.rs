//! The verbs of `roundtrip sim`, from outside: what they print, what they keep, and how they end.

use std::fs;
use std::path::PathBuf;

use crate::common::{Finished, roundtrip, run};

/// A folder of this test's own, gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("sim-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sim(args: &[&str]) -> Finished {
    run(&mut roundtrip(["sim"].iter().chain(args)))
}

#[track_caller]
fn ok(args: &[&str]) -> String {
    let Finished { code, stdout, stderr, .. } = sim(args);
    assert_eq!((code, &*stderr), (Some(0), ""), "{args:?}: {stdout}");
    stdout
}

#[track_caller]
fn refused(args: &[&str], cause: &str) {
    let Finished { code, stdout, stderr, .. } = sim(args);
    assert_eq!((code, &*stdout), (Some(2), ""), "{args:?}: {stderr}");
    let mut lines = stderr.lines();
    let told = lines.next().unwrap();
    assert!(told.starts_with("error: ") && told.contains(cause), "{args:?}: {told}");
    assert!(
        lines.next().is_some_and(|line| line.starts_with("  try: ")) && lines.next().is_none(),
        "{stderr}"
    );
}

/// The summary without what differs from run to run: the time it took.
fn without_time(summary: &str) -> String {
    summary.split(", ").filter(|part| !part.ends_with(" s")).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_campaign_says_what_it_ran_and_found() {
    let said = ok(&["run", "echo", "--seeds", "0..1_500", "--jobs", "2"]);
    assert!(
        said.starts_with("echo: 1,500 schedules, ") && said.contains(" 0 failures, all goals reached (hash "),
        "{said}"
    );
    assert_eq!(without_time(&said), without_time(&ok(&["run", "echo", "--seeds", "0..1500", "--jobs", "1"])));
}

#[test]
fn a_goal_that_is_not_reached_fails_a_campaign() {
    let Finished { code, stdout, .. } = sim(&["run", "echo", "--seeds", "0..3", "--faults", "none"]);
    assert!(code == Some(3) && stdout.contains("goals not reached: "), "{stdout}");
    let without: &[_] = &["run", "echo", "--seeds", "0..1500", "--without", "stop", "--without", "abort"];
    let Finished { code, stdout, .. } = sim(without);
    assert!(code == Some(3) && stdout.contains("stop while open"), "{stdout}");
}

#[test]
fn shards_merge_to_the_same_bytes() {
    let folder = Folder::new("merge");
    let whole = folder.file("whole.json");
    let run = |shard: &str, file: &str| {
        sim(&["run", "server", "--seeds", "7..250", "--shard", shard, "--report", file])
    };
    run("0/1", &whole);
    let shards: Vec<_> = (0..3).map(|shard| folder.file(&format!("{shard}.json"))).collect();
    for (shard, file) in shards.iter().enumerate() {
        run(&format!("{shard}/3"), file);
    }
    let merged = folder.file("merged.json");
    sim(&["merge", &shards[2], &shards[0], &shards[1], "--report", &merged]);
    assert_eq!(fs::read(&merged).unwrap(), fs::read(&whole).unwrap());
    refused(&["merge", &shards[0], &shards[1]], "shard 2/3 is in no report");
    refused(&["merge", &shards[0], &shards[0]], "shard 0/3 is in two reports");
    refused(&["merge", &folder.file("nowhere")], "cannot read");
    fs::write(&merged, "{}").unwrap();
    refused(&["merge", &merged], "is no report");
}

#[test]
fn a_schedule_is_shown_kept_and_run_again() {
    let folder = Folder::new("one");
    let (trace, page) = (folder.file("new/trace.jsonl"), folder.file("page.html"));
    let explained = ok(&["explain", "echo", "--seed", "2", "--trace", &trace, "--html", &page]);
    assert!(
        explained.contains("client                     network    server")
            && explained.contains("is connected")
    );
    assert_eq!(ok(&["explain", &trace]), explained);
    assert_eq!(ok(&["replay", &trace]), ok(&["replay", "echo", "--seed", "2"]));
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg ") && page.ends_with("</html>\n"));
    // Nothing in it can be fetched or run.
    for outside in ["src=", "href=", "url(", "@import", "<script", "<link", "<iframe"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn a_trace_that_goes_another_way_says_where() {
    let folder = Folder::new("diverge");
    let file = folder.file("trace.jsonl");
    ok(&["replay", "echo", "--seed", "6", "--trace", &file]);
    let text = fs::read_to_string(&file).unwrap();
    let first_write = text.lines().find(|line| line.contains("\"what\":\"write\"")).unwrap();
    fs::write(&file, text.replacen(first_write, &first_write.replace("\"write\"", "\"blocked\""), 1))
        .unwrap();
    let said = ok(&["replay", &file]);
    assert!(said.contains("it goes another way than it was recorded") && said.contains("blocked"), "{said}");
}

#[test]
fn a_bad_trace_is_refused_with_its_line() {
    let folder = Folder::new("bad");
    let (good, bad) = (folder.file("good.jsonl"), folder.file("bad.jsonl"));
    ok(&["replay", "echo", "--seed", "5", "--trace", &good]);
    let text = fs::read_to_string(&good).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let refused_as = |text: &str, cause: &str| {
        fs::write(&bad, text).unwrap();
        for verb in ["replay", "shrink", "explain"] {
            refused(&[verb, &bad], cause);
        }
    };
    refused_as(
        &lines[..lines.len() - 1].join("\n"),
        &format!("line {}: the file ends before", lines.len() - 1),
    );
    refused_as(&text.replacen(":1,", ":9,", 1), "line 1: the trace has version 9");
    refused_as(&text.replacen("\"site\":\"", "\"site\":\"no-", 1), "line 2: nothing is called `no-");
    refused_as("", "line 1: this is no trace");
    refused_as(&text.replacen("\"echo\"", "\"theirs\"", 1), "another program: theirs");
    refused(&["replay", &folder.file("nowhere")], "cannot read");
    refused(&["replay", env!("CARGO_TARGET_TMPDIR")], "it is no file");
}

/// What a campaign once found and kept must not come back.
#[test]
fn regressions_pass() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let Finished { code, stdout, stderr, .. } = sim(&["replay", path.to_str().unwrap()]);
            assert_eq!(code, Some(0), "{}: {stdout}{stderr}", path.display());
        }
    }
}

#[test]
fn the_same_in_every_way() {
    let said = ok(&["determinism", "echo", "--seeds", "100..200"]);
    assert!(said.starts_with("echo: 100 seeds are the same alone, after others"), "{said}");
}

#[test]
fn a_small_search_is_whole() {
    let said = ok(&["exhaust", "echo", "--deviations", "1"]);
    assert!(said.contains(" 0 failures, all there are"), "{said}");
    let Finished { code, stdout, .. } = sim(&["exhaust", "server", "--deviations", "2", "--limit", "50"]);
    assert!(code == Some(3) && stdout.contains("there are more"), "{stdout}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (args, cause) in [
        (&["run", "nothing"][..], "invalid value 'nothing'"),
        (&["run", "echo", "--seeds", "5..5"], "there is no seed in it"),
        (&["run", "echo", "--seeds", "five"], "not a range of seeds"),
        (&["run", "echo", "--jobs", "many"], "not a number of threads"),
        (&["run", "echo", "--shard", "4/4"], "there is no such shard"),
        (&["run", "echo", "--shard", "auto"], "this is no task of a job array"),
        (&["run", "echo", "--without", "rain"], "no family of faults is called so"),
        (&["replay", "echo"], "a scenario without a seed"),
        (&["exhaust", "echo", "--breadth", "1"], "1 is not in"),
        (&["merge"], "required"),
    ] {
        refused(args, cause);
    }
}
