//! `check --json`: exactly one document on standard output, whatever comes of it, and what the schema refuses. The documents
//! of each fault are in `verdicts.rs`.

#[cfg(unix)]
use std::ffi::OsStr;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;

#[cfg(unix)]
use crate::common::after;
use crate::common::schema;
use crate::common::{nobody, roundtrip, run};
use serde_json::{Value, json};

/// The same two lines that are told without `--json`, and the same exit code.
#[test]
fn bad_usage_is_a_document() {
    let schema = schema::check();
    for args in [
        &["check", "--bytes", "0"][..],
        &["check", "--frobnicate"],
        &["check", "--sizes", ""],
        &["check", "::1:zz:80"],
        &["check", "--two\n\nparagraphs"],
        &["frobnicate"],
        &["check", "--seed", "\u{1}"],
        &[],
    ] {
        let text = run(&mut roundtrip(args));
        let document = schema::document(schema, &run(roundtrip(args).arg("--json")));
        let error = &document["error"];
        if !args.is_empty() {
            let told = format!(
                "error: {}\n  try: {}\n",
                error["cause"].as_str().unwrap(),
                error["advice"].as_str().unwrap()
            );
            assert_eq!((told, text.code), (text.stderr, Some(2)), "{args:?}");
        }
        assert_eq!((&document["result"], &document["exit"]), (&json!("error"), &json!(2)), "{args:?}");
    }
    #[cfg(unix)]
    {
        let not_utf8 = OsStr::from_bytes(b"local\xffhost");
        let finished = run(&mut roundtrip([OsStr::new("check"), OsStr::new("--json"), not_utf8]));
        assert_eq!(schema::document(schema, &finished)["exit"], 2);
    }
}

/// What follows `--` is no option.
#[test]
fn a_text_that_looks_like_the_option_is_none() {
    let finished = run(&mut roundtrip(["send", &nobody().to_string(), "--", "--json"]));
    assert_eq!((finished.code, &*finished.stdout), (Some(4), ""), "{finished:?}");
}

/// More connections than the system has room for, and a server that cannot be had.
#[test]
fn what_the_system_refuses_is_a_document() {
    let schema = schema::check();
    #[cfg(unix)]
    {
        let finished = run(&mut after("ulimit -n 64;", &["check", "-c", "1000", "--json"], ""));
        let document = schema::document(schema, &finished);
        assert!(document["error"]["cause"].as_str().unwrap().contains("file descriptors"), "{document:#}");
    }
    let finished = run(&mut roundtrip(["check", &nobody().to_string(), "--json"]));
    assert_eq!(schema::document(schema, &finished)["exit"], 4);
}

/// A document in a pipe that nobody reads is told where it still can be.
#[cfg(unix)]
#[test]
fn a_document_that_cannot_be_delivered_is_a_problem_on_standard_error() {
    let finished = run(&mut after("", &["check", "--bytes", "1kB", "--json"], ">/dev/full"));
    assert_eq!((finished.code, &*finished.stdout), (Some(5), ""), "{finished:?}");
    assert!(finished.stderr.starts_with("error: cannot write to standard output: "), "{finished:?}");
}

/// The schema is of use only if it refuses something.
#[test]
fn a_document_with_a_wrong_or_missing_field_is_refused() {
    let schema = schema::check();
    if !schema.can_refuse() {
        return;
    }
    let finished = run(&mut roundtrip(["check", "--bytes", "1kB", "--json"]));
    let good = schema::document(schema, &finished);
    let fault = json!({
        "kind": "truncated", "offset_bytes": 5, "connection": 1, "seed": 1, "bytes": null, "end": "fin", "sent_bytes": 9,
        "received_bytes": 5, "age_seconds": 0.1, "idle_seconds": 0.1, "after_half_close_seconds": null, "into_pause_seconds": null,
        "crossed_connection": null, "came_hex": null, "due_hex": null,
        "summary": "peer closed early", "detail": "first missing offset 5", "likely": null
    });
    let mut bad = good.clone();
    bad["result"] = json!("failed");
    bad["exit"] = json!(1);
    bad["checks"][0]["result"] = json!("failed");
    bad["checks"][0]["fault"] = fault;
    assert!(schema.is_valid(&bad), "{bad:#}");
    for document in [&good, &bad] {
        refuses_each_change(schema, document, "");
    }
    for (pointer, value) in [
        ("/exit", json!(2)),
        ("/exit", json!(1)),
        ("/result", json!("fine")),
        ("/checks", json!([])),
        ("/checks/0/result", json!("failed")),
        ("/checks/0/again", json!("rm -r x")),
        ("/timeout_seconds", json!("30s")),
        ("/timeout_seconds", json!(-1)),
    ] {
        refuses(schema, &good, pointer, value);
    }
    for (pointer, value) in [
        ("/checks/0/fault/kind", json!("lost")),
        ("/checks/0/fault/end", json!("rst")),
        ("/checks/0/fault/end", Value::Null),
        ("/checks/0/fault/bytes", json!(3)),
        ("/checks/0/fault", Value::Null),
        ("/exit", json!(0)),
    ] {
        refuses(schema, &bad, pointer, value);
    }
    let error =
        json!({ "version": 2, "result": "error", "exit": 2, "error": { "cause": "a", "advice": "b" } });
    assert!(schema.is_valid(&error));
    refuses_each_change(schema, &error, "");
    refuses(schema, &error, "/exit", json!(0));
    refuses(schema, &error, "/error/cause", json!("two\nlines"));
}

#[track_caller]
fn refuses(schema: &schema::Schema, document: &Value, pointer: &str, value: Value) {
    let mut document = document.clone();
    *document.pointer_mut(pointer).unwrap() = value;
    assert!(!schema.is_valid(&document), "{pointer}: {document:#}");
}

/// With any field left out, of another type, or one too many.
#[track_caller]
fn refuses_each_change(schema: &schema::Schema, document: &Value, pointer: &str) {
    match document.pointer(pointer).unwrap() {
        Value::Object(fields) => {
            for name in fields.keys() {
                let mut less = document.clone();
                less.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name);
                assert!(!schema.is_valid(&less), "{pointer} without {name}");
                refuses_each_change(schema, document, &format!("{pointer}/{name}"));
            }
            let mut more = document.clone();
            more.pointer_mut(pointer).unwrap()["more"] = json!(1);
            assert!(!schema.is_valid(&more), "{pointer} with one more");
        }
        Value::Array(items) => {
            (0..items.len())
                .for_each(|index| refuses_each_change(schema, document, &format!("{pointer}/{index}")));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            refuses(schema, document, pointer, json!([]));
        }
    }
}
