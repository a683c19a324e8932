//! JSON as XML, for callers that read XML.

use serde_json::Value;

/// A document with this root element. The fields of an object become elements. The items of an
/// array become elements with a name in the singular. Null values are left out.
pub fn document(root: &str, namespace: Option<&str>, value: &Value) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let attribute = namespace.map_or_else(String::new, |name| format!(" xmlns=\"{name}\""));
    element(&mut text, root, &attribute, value);
    text
}

fn element(text: &mut String, name: &str, attributes: &str, value: &Value) {
    if value.is_null() {
        return;
    }
    text.push('<');
    text.push_str(name);
    text.push_str(attributes);
    text.push('>');
    match value {
        Value::Array(items) => {
            let item = name.strip_suffix('s').unwrap_or("item");
            for value in items {
                element(text, item, "", value);
            }
        }
        Value::Object(fields) => {
            for (field, value) in fields {
                if is_name(field) {
                    element(text, field, "", value);
                } else {
                    let mut quoted = String::new();
                    escape(&mut quoted, field);
                    element(text, "entry", &format!(" name=\"{quoted}\""), value);
                }
            }
        }
        Value::String(word) => escape(text, word),
        other => text.push_str(&other.to_string()),
    }
    text.push_str("</");
    text.push_str(name);
    text.push('>');
}

/// Whether the name of a field can be an element name: header names may contain other characters.
fn is_name(field: &str) -> bool {
    field.starts_with(|c: char| c.is_ascii_alphabetic())
        && field
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn escape(text: &mut String, word: &str) {
    for c in word.chars() {
        match c {
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '&' => text.push_str("&amp;"),
            '"' => text.push_str("&quot;"),
            '\t' | '\n' | '\r' => text.push(c),
            // XML does not allow these characters.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => text.push('\u{fffd}'),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_become_elements_and_no_value_breaks_out_of_its_own() {
        let value =
            json!({ "groups": [{ "name": "a<b&\"c\u{1}" }], "none": null, "n": 2, "x~y": true });
        let text = document("status", Some("urn:x"), &value);
        let body = text.split_once('\n').unwrap().1;
        assert_eq!(
            body,
            "<status xmlns=\"urn:x\"><groups><group><name>a&lt;b&amp;&quot;c\u{fffd}</name></group>\
             </groups><n>2</n><entry name=\"x~y\">true</entry></status>"
        );
    }
}
