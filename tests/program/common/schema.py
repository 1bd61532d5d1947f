"""Validates documents with jsonschema, an independent implementation: python3 schema.py SCHEMA...

Reads a document a line, and answers each with a line: the list of what is wrong with it by the first SCHEMA, which may refer to the
others. All are JSON.
"""

import json
import sys

from jsonschema import Draft202012Validator


def bundled(value, own):
    """The same with references into one document, which holds every schema under its `$id`: how the versions of jsonschema find
    other documents differs."""
    if isinstance(value, list):
        return [bundled(item, own) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: bundled(item, own) for key, item in value.items() if key != "$id"}
    if isinstance(value.get("$ref"), str):
        other, _, pointer = value["$ref"].partition("#")
        value["$ref"] = f"#/$defs/{other or own}{pointer}"
    return value


schemas = [json.load(open(path)) for path in sys.argv[1:]]
for schema in schemas:
    Draft202012Validator.check_schema(schema)
names = [schema["$id"] for schema in schemas]
defs = {name: bundled(schema, name) for name, schema in zip(names, schemas)}
validator = Draft202012Validator({"$defs": defs, "$ref": f"#/$defs/{names[0]}"})
for line in sys.stdin:
    print(json.dumps([error.message for error in validator.iter_errors(json.loads(line))]), flush=True)
