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
}
