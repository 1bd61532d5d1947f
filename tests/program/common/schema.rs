//! What `--json` prints, held against its schema.

use jsonschema::{Registry, Validator};
use serde_json::Value;

use crate::common::Finished;

const CHECK: &str = include_str!("../../../docs/schema/check.json");
const LOAD: &str = include_str!("../../../docs/schema/load.json");
const LISTEN: &str = include_str!("../../../docs/schema/listen.json");
const ERROR: &str = include_str!("../../../docs/schema/error.json");

/// What `check` may print.
pub(crate) fn check() -> Validator {
    validator(CHECK)
}

/// What `load` may print.
pub(crate) fn load() -> Validator {
    validator(LOAD)
}

/// What `listen` may print.
pub(crate) fn listen() -> Validator {
    validator(LISTEN)
}

fn validator(schema: &str) -> Validator {
    let registry = [ERROR, CHECK, LOAD, LISTEN].into_iter().fold(Registry::new(), |registry, text| {
        let schema: Value = serde_json::from_str(text).unwrap();
        assert!(jsonschema::meta::is_valid(&schema));
        let name = schema["$id"].as_str().unwrap().to_owned();
        registry.add(name, schema).unwrap()
    });
    let schema: Value = serde_json::from_str(schema).unwrap();
    jsonschema::options().with_registry(&registry.prepare().unwrap()).build(&schema).unwrap()
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
