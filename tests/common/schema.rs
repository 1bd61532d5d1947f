//! What `--json` prints, held against its schema.

use jsonschema::{Registry, Validator};
use serde_json::Value;

use super::Finished;

const ERROR: &str = include_str!("../../docs/schema/error.json");
const CHECK: &str = include_str!("../../docs/schema/check.json");
