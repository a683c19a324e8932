//! The `OpenAPI` document in the form that the API serves.

use serde_json::{Value, json};
use utoipa::openapi::OpenApi;

/// Corrects the generated document: a caller may omit an optional parameter, but the parameter is
/// never null.
pub fn document(openapi: &OpenApi) -> Value {
    let mut document = json!(openapi);
    let paths = document.get_mut("paths");
    let operations = paths
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(|paths| paths.values_mut())
        .filter_map(Value::as_object_mut)
        .flat_map(|item| item.values_mut());
    for operation in operations {
        let parameters = operation.get_mut("parameters");
        let parameters = parameters.and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            parameter.get_mut("schema").map(not_null);
        }
    }
    document
}

fn not_null(schema: &mut Value) {
    let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) else {
        return;
    };
    types.retain(|of| of != "null");
    if let [only] = types.as_slice() {
        schema["type"] = only.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_parameter_is_ever_null() {
        let document = document(&crate::openapi());
        let text = document["paths"].to_string();
        assert!(!text.contains(":null"), "{text}");
        assert!(text.contains("\"name\":\"Fanfold-Sequence\""));
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                let parameters = operation["parameters"].as_array();
                for parameter in parameters.into_iter().flatten() {
                    assert!(
                        parameter["schema"]["type"].is_string(),
                        "{path}: {parameter}"
                    );
                }
            }
        }
    }

    /// Whether a schema says what a value is, down to its leaves.
    fn says(document: &Value, schema: &Value, seen: &mut Vec<String>) -> Result<(), String> {
        if let Some(name) = schema["$ref"].as_str() {
            if seen.iter().any(|seen| seen == name) {
                return Ok(());
            }
            seen.push(name.to_owned());
            let found = document.pointer(&name[1..]).unwrap_or(&Value::Null);
            return says(document, found, seen).map_err(|error| format!("{name}: {error}"));
        }
        for several in ["oneOf", "anyOf", "allOf"] {
            if let Some(schemas) = schema[several].as_array() {
                return schemas.iter().try_for_each(|of| says(document, of, seen));
            }
        }
        if schema["type"].is_null() {
            return Err(format!("it says nothing: {schema}"));
        }
        let items = schema.get("items").into_iter();
        let values = schema.get("additionalProperties").into_iter();
        for inner in items.chain(values).filter(|inner| inner.is_object()) {
            says(document, inner, seen)?;
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            says(document, property, seen).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(())
    }

    #[test]
    fn every_answer_has_a_schema_that_says_what_it_is() {
        let document = document(&crate::openapi());
        let (mut answers, mut faults) = (0, Vec::new());
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let contents = answer["content"].as_object();
                    for content in contents.into_iter().flat_map(|of| of.values()) {
                        answers += 1;
                        if let Err(error) = says(&document, &content["schema"], &mut Vec::new()) {
                            faults.push(format!("{method} {path} {status}: {error}"));
                        }
                    }
                    let bare = ["204", "304"].contains(&status.as_str());
                    if contents.is_none() != bare {
                        faults.push(format!("{method} {path} {status}: has it a body?"));
                    }
                }
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        assert!(answers > 100, "only {answers} answers were found");
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document = document(&crate::openapi());
        let items = document["paths"].as_object().unwrap().values();
        let operations = items.flat_map(|item| item.as_object().unwrap().values());
        let mut names: Vec<&str> = operations
            .map(|operation| operation["operationId"].as_str().unwrap())
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{names:?}");
    }
}
