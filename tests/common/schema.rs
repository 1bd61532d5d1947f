//! What `--json` prints, held against its schema.

use jsonschema::{Registry, Validator};
use serde_json::Value;

use crate::common::Finished;

const CHECK: &str = include_str!("../../docs/schema/check.json");
const ERROR: &str = include_str!("../../docs/schema/error.json");

/// What `check` may print.
pub(crate) fn check() -> Validator {
    let error: Value = serde_json::from_str(ERROR).unwrap();
    let check: Value = serde_json::from_str(CHECK).unwrap();
    for schema in [&error, &check] {
        assert!(jsonschema::meta::is_valid(schema));
    }
    let registry = Registry::new().add("urn:roundtrip:schema:error", error).unwrap().prepare().unwrap();
    jsonschema::options().with_registry(&registry).build(&check).unwrap()
}

/// The one document that the program printed, with nothing beside it.
#[track_caller]
pub(crate) fn document(schema: &Validator, finished: &Finished) -> Value {
    assert_eq!(finished.stderr, "", "{finished:?}");
    let line = finished.stdout.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {finished:?}"));
    assert!(!line.contains('\n'), "several lines: {finished:?}");
    let document: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let errors: Vec<_> = schema.iter_errors(&document).map(|error| error.to_string()).collect();
    assert_eq!(errors, <[String; 0]>::default(), "{document:#}");
    assert_eq!(document["exit"].as_i64(), finished.code.map(i64::from), "{document:#}");
    document
}
