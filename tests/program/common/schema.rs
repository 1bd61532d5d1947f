//! What `--json` prints, held against its schema.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex};

use serde_json::Value;

use crate::common::{Finished, skip};

/// A schema, and the process that validates documents by it, where one is installed.
pub(crate) struct Schema(Option<Mutex<Validator>>);

struct Validator {
    documents: ChildStdin,
    errors: BufReader<ChildStdout>,
}

/// What `check` may print.
pub(crate) fn check() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::new("check"));
    &SCHEMA
}

/// What `load` may print.
pub(crate) fn load() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::new("load"));
    &SCHEMA
}

/// What `listen` may print.
pub(crate) fn listen() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::new("listen"));
    &SCHEMA
}

impl Schema {
    #[expect(clippy::zombie_processes, reason = "it ends with the tests, which close its standard input")]
    fn new(name: &str) -> Self {
        let has_jsonschema = |python: &&&str| {
            let mut import = Command::new(python);
            let imported = import.args(["-c", "import jsonschema"]).stderr(Stdio::null()).status();
            imported.is_ok_and(|status| status.success())
        };
        // The package of Debian is for the system's.
        let Some(python) = ["python3", "/usr/bin/python3"].iter().find(has_jsonschema) else {
            skip("no jsonschema for python3");
            return Self(None);
        };
        let path = |name| format!("{}/docs/schema/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let mut process = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/program/common/schema.py"))
            .args([name, "error", "check", "load", "listen"].map(path))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let documents = process.stdin.take().unwrap();
        let errors = BufReader::new(process.stdout.take().unwrap());
        Self(Some(Mutex::new(Validator { documents, errors })))
    }

    /// Whether documents are validated at all.
    pub(crate) fn can_refuse(&self) -> bool {
        self.0.is_some()
    }

    /// What is wrong with a document.
    pub(crate) fn errors(&self, document: &Value) -> Vec<String> {
        let Some(validator) = &self.0 else { return Vec::new() };
        let Validator { documents, errors } = &mut *validator.lock().unwrap();
        writeln!(documents, "{document}").unwrap();
        let mut line = String::new();
        errors.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the validator failed: {error}: {line:?}"))
    }

    pub(crate) fn is_valid(&self, document: &Value) -> bool {
        self.errors(document).is_empty()
    }
}

/// The one document that the program printed, with nothing beside it.
#[track_caller]
pub(crate) fn document(schema: &Schema, finished: &Finished) -> Value {
    assert_eq!(finished.stderr, "", "{finished:?}");
    let line = finished.stdout.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {finished:?}"));
    assert!(!line.contains('\n'), "several lines: {finished:?}");
    let document: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(schema.errors(&document), <[String; 0]>::default(), "{document:#}");
    assert_eq!(document["exit"].as_i64(), finished.code.map(i64::from), "{document:#}");
    document
}
