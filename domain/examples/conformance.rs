//! Answers questions about documents, one a line, each in JSON: for `tests/conformance`.
//!
//! `{"accept": "<file>"}`: whether the file is taken as XML. `{"canonical": "<xml>"}`: the form in
//! which documents are compared. `{"xml": "<xml>", "expressions": ["…"]}`: what each gives.

use std::io::{self, BufRead, BufWriter, Write};

use domain::document::{Document, Limits, canonicalize};
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let question: Value = serde_json::from_str(&line?)?;
        writeln!(out, "{}", answer(&question)?)?;
    }
    out.flush()
}

fn answer(question: &Value) -> io::Result<Value> {
    let limits = Limits::default();
    let text = |key: &str| question.get(key).and_then(Value::as_str);
    if let Some(path) = text("accept") {
        return Ok(match canonicalize(&std::fs::read(path)?, &limits) {
            Ok(_) => json!({ "accepted": true }),
            Err(refusal) => {
                json!({ "accepted": false, "code": refusal.code(), "reason": refusal.to_string() })
            }
        });
    }
    if let Some(xml) = text("canonical") {
        return Ok(match canonicalize(xml.as_bytes(), &limits) {
            Ok(canonical) => json!({ "canonical": canonical }),
            Err(refusal) => json!({ "error": refusal.to_string() }),
        });
    }
    let document = match Document::accept(text("xml").unwrap_or_default().as_bytes(), &limits) {
        Ok(document) => document,
        Err(refusal) => return Ok(json!({ "error": refusal.to_string() })),
    };
    let expressions = question.get("expressions").and_then(Value::as_array);
    let given = expressions.into_iter().flatten().map(|expression| {
        match document.evaluate(expression.as_str().unwrap_or_default()) {
            Ok(told) => json!(told),
            Err(error) => json!({ "error": error.to_string() }),
        }
    });
    Ok(Value::Array(given.collect()))
}
