//! The `OpenAPI` document in version 3.0, for generators that refuse 3.1.

use serde_json::{Map, Value, json};

/// The version of the rendition.
const VERSION: &str = "3.0.3";

/// The 3.0 rendition of a 3.1 document. It says the same with the words of that version.
pub fn of(document: &Value) -> Value {
    let mut rendition = document.clone();
    rendition["openapi"] = json!(VERSION);
    if let Some(license) = rendition["info"]["license"].as_object_mut() {
        license.remove("identifier");
    }
    without_certificates(&mut rendition);
    convert(&mut rendition);
    rendition
}

/// The older version has no word for client certificates. They are one of several proofs, so no
/// operation is left without one.
fn without_certificates(document: &mut Value) {
    let schemes = document.pointer_mut("/components/securitySchemes");
    let Some(schemes) = schemes.and_then(Value::as_object_mut) else {
        return;
    };
    let is_new = |scheme: &Value| scheme["type"] == "mutualTLS";
    let new: Vec<String> = schemes
        .iter()
        .filter(|(_, scheme)| is_new(scheme))
        .map(|(name, _)| name.clone())
        .collect();
    schemes.retain(|_, scheme| !is_new(scheme));
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    let items = paths.filter_map(|(_, item)| item.as_object_mut());
    for operation in items.flat_map(|item| item.values_mut()) {
        let proofs = operation.get_mut("security").and_then(Value::as_array_mut);
        if let Some(proofs) = proofs {
            proofs.retain(|proof| new.iter().all(|name| proof.get(name).is_none()));
        }
    }
}

fn convert(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(convert),
        Value::Object(fields) => {
            null_in_types(fields);
            null_among(fields, "oneOf");
            null_among(fields, "anyOf");
            exclusive(fields, "minimum", "exclusiveMinimum");
            exclusive(fields, "maximum", "exclusiveMaximum");
            if fields.get("const").is_some_and(|of| !of.is_object())
                && let Some(constant) = fields.remove("const")
            {
                fields.insert("enum".to_owned(), json!([constant]));
            }
            // Also a map of named examples has this name, where it is not of a schema.
            if fields.get("examples").is_some_and(Value::is_array)
                && let Some(Value::Array(examples)) = fields.remove("examples")
                && let Some(first) = examples.into_iter().next()
            {
                fields.insert("example".to_owned(), first);
            }
            fields.remove("propertyNames");
            reference(fields);
            fields.values_mut().for_each(convert);
        }
        _ => {}
    }
}

fn is_null(schema: &Value) -> bool {
    schema["type"] == "null"
}

fn nullable(fields: &mut Map<String, Value>) {
    fields.insert("nullable".to_owned(), json!(true));
}

/// `"type": ["string", "null"]` becomes a string that is nullable.
fn null_in_types(fields: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = fields.get("type") else {
        return;
    };
    let mut types = types.clone();
    let all = types.len();
    types.retain(|of| of != "null");
    if types.len() < all {
        nullable(fields);
    }
    if let [only] = types.as_slice() {
        fields.insert("type".to_owned(), only.clone());
        return;
    }
    fields.remove("type");
    let any = types.into_iter().map(|of| json!({ "type": of }));
    fields.insert("anyOf".to_owned(), any.collect());
}

/// Where one of several schemas is null, the others are nullable.
fn null_among(fields: &mut Map<String, Value>, several: &str) {
    let Some(Value::Array(schemas)) = fields.get_mut(several) else {
        return;
    };
    let all = schemas.len();
    schemas.retain(|schema| !is_null(schema));
    if schemas.len() == all {
        return;
    }
    if let [only] = schemas.as_slice() {
        // Nothing may stand beside a reference, and a reference alone is not nullable.
        let only = json!([only]);
        fields.remove(several);
        fields.insert("allOf".to_owned(), only);
    }
    nullable(fields);
}

/// A number that a value must exceed was a flag beside the limit.
fn exclusive(fields: &mut Map<String, Value>, limit: &str, flag: &str) {
    if fields.get(flag).is_some_and(Value::is_number)
        && let Some(number) = fields.remove(flag)
    {
        fields.insert(limit.to_owned(), number);
        fields.insert(flag.to_owned(), json!(true));
    }
}

/// What stands beside a reference is ignored in 3.0, so the reference goes into `allOf`.
fn reference(fields: &mut Map<String, Value>) {
    if fields.len() > 1
        && let Some(of) = fields.remove("$ref")
    {
        fields.insert("allOf".to_owned(), json!([{ "$ref": of }]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_older_version_says_otherwise_is_said_its_way() {
        for (newer, older) in [
            (
                json!({ "type": ["string", "null"], "format": "uuid" }),
                json!({ "type": "string", "format": "uuid", "nullable": true }),
            ),
            (
                json!({ "type": ["integer", "string", "null"] }),
                json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }], "nullable": true }),
            ),
            (
                json!({ "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/A" }] }),
                json!({ "allOf": [{ "$ref": "#/components/schemas/A" }], "nullable": true }),
            ),
            (json!({ "const": 1 }), json!({ "enum": [1] })),
            (
                json!({ "examples": ["a", "b"], "type": "string" }),
                json!({ "example": "a", "type": "string" }),
            ),
            (
                json!({ "exclusiveMinimum": 0 }),
                json!({ "minimum": 0, "exclusiveMinimum": true }),
            ),
            (
                json!({ "$ref": "#/a", "description": "why" }),
                json!({ "allOf": [{ "$ref": "#/a" }], "description": "why" }),
            ),
            (json!({ "$ref": "#/a" }), json!({ "$ref": "#/a" })),
            // A property may have any of these names.
            (
                json!({ "properties": { "type": { "type": "string" }, "const": { "type": "string" } } }),
                json!({ "properties": { "type": { "type": "string" }, "const": { "type": "string" } } }),
            ),
        ] {
            let mut converted = newer;
            convert(&mut converted);
            assert_eq!(converted, older);
        }
    }

    #[test]
    fn the_rendition_has_every_operation_and_schema_and_nothing_that_is_new_in_3_1() {
        let newer = crate::http::openapi::document(&crate::openapi());
        let older = of(&newer);
        assert_eq!(older["openapi"], "3.0.3");
        for part in ["/paths", "/components/schemas"] {
            let names = |of: &Value| -> Vec<String> {
                let part = of.pointer(part).unwrap().as_object().unwrap();
                part.keys().cloned().collect()
            };
            assert_eq!(names(&older), names(&newer));
        }
        for item in older["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                // Who may call without a proof may do so by the newer document too.
                let proofs = operation["security"].as_array().unwrap();
                let is_open = operation["x-action"] == "open";
                assert_eq!(proofs.is_empty(), is_open, "{operation}");
            }
        }
        let text = older.to_string();
        for new in [
            "\"null\"",
            "\"examples\":[",
            "\"const\":",
            "\"identifier\"",
            "\"type\":[",
            "mutualTLS",
        ] {
            assert!(!text.contains(new), "{new}");
        }
    }
}
