//! Real answers, read by the schemas of the OpenAPI document.

use std::collections::BTreeSet;

use harness::{Client, Reply, Valuer, World, result_of};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{document, post, up};

/// The schema of errors, which may have further members.
const PROBLEM: &str = "#/components/schemas/Problem";

/// Why a value is not as a schema says. A field that the schema does not name is a fault too.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let mut found = document.pointer(&name[1..]).ok_or(name)?.clone();
        if name == PROBLEM {
            found["additionalProperties"] = json!(true);
        }
        return fits(document, &found, value);
    }
    for several in ["oneOf", "anyOf"] {
        if let Some(schemas) = schema[several].as_array() {
            let mut tried = schemas.iter().map(|of| fits(document, of, value));
            let fits = tried.any(|tried| tried.is_ok());
            return fits
                .then_some(())
                .ok_or_else(|| format!("{value} is none of {schema}"));
        }
    }
    for of in schema["allOf"].as_array().into_iter().flatten() {
        let mut open = of.clone();
        if let Some(name) = of["$ref"].as_str() {
            open = document.pointer(&name[1..]).ok_or(name)?.clone();
        }
        let fields = open["properties"].as_object().cloned().unwrap_or_default();
        let own = value.as_object().into_iter().flatten();
        let own = own.filter(|(name, _)| fields.contains_key(*name));
        let own: Value = own
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        fits(document, &open, &own)?;
    }
    if schema["allOf"].is_array() {
        return Ok(());
    }
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        _ => value.is_object(),
    };
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        of => vec![of.as_str().ok_or_else(|| format!("{schema} has no type"))?],
    };
    if !types.into_iter().any(is) {
        return Err(format!("{value} is no {}", schema["type"]));
    }
    for item in value.as_array().into_iter().flatten() {
        fits(document, &schema["items"], item)?;
    }
    let Some(fields) = value.as_object() else {
        return Ok(());
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            return Err(format!("{name} is missing in {value}"));
        }
    }
    let further = &schema["additionalProperties"];
    for (name, field) in fields {
        match (schema["properties"].get(name), further) {
            (Some(schema), _) => fits(document, schema, field),
            (None, Value::Object(_)) => fits(document, further, field),
            (None, _) if schema["properties"].is_object() && *further != true => {
                Err("it has no name there".into())
            }
            (None, _) => Ok(()),
        }
        .map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

struct Reader<'a> {
    client: &'a Client,
    document: Value,
    read: BTreeSet<String>,
}

impl Reader<'_> {
    /// Makes a call, and reads its answer by the schema of its path, method and status.
    async fn read(
        &mut self,
        method: Method,
        template: &str,
        path: &str,
        body: Option<Value>,
    ) -> Value {
        let answer = match body {
            Some(body) => post(self.client, path, &body).await,
            None => {
                self.client
                    .send(self.client.call(method.clone(), path))
                    .await
            }
        };
        let (status, value) = (answer.status.as_u16(), answer.json());
        let responses =
            &self.document["paths"][template][method.as_str().to_lowercase()]["responses"];
        let contents = responses[status.to_string()]["content"].as_object();
        let kind = answer.header("content-type").split(';').next().unwrap();
        let content = contents.and_then(|contents| contents.get(kind));
        let content = content.unwrap_or_else(|| panic!("{method} {template} {status} {kind}"));
        if let Err(error) = fits(&self.document, &content["schema"], &value) {
            panic!("{method} {template} {status}: {error}\n{value}");
        }
        self.read.insert(format!("{method} {template} {status}"));
        value
    }

    async fn get(&mut self, template: &str, path: &str) -> Value {
        self.read(Method::GET, template, path, None).await
    }

    async fn post(&mut self, path: &str, body: Value) -> Value {
        self.read(Method::POST, path, path, Some(body)).await
    }
}

#[tokio::test]
async fn every_answer_is_as_its_schema_says() {
    let world = World::start().await;
    let valuer = Valuer::start(|call| async move {
        if call.task == 2 {
            Reply::Status(422, "no such curve".into())
        } else {
            Reply::Result(result_of(&call))
        }
    })
    .await;
    let program = up(&world, &valuer, &[]).await;
    let client = &program.client();
    let document_of = client.get("/openapi.json").await.json();
    let older = client.get("/openapi-3.0.json").await.json();
    assert_eq!(older["openapi"], "3.0.3");
    let mut reader = Reader {
        client,
        document: document_of,
        read: BTreeSet::new(),
    };
    let failed = client.submit(&document(2, 3), "").await.id();
    client.until_status(&failed, "failed").await;
    let done = client.submit(&document(1, 1), "").await.id();
    client.until_status(&done, "succeeded").await;

    for id in [&failed, &done] {
        let of = |rest: &str| {
            (
                format!("/valuation/{{id}}{rest}"),
                format!("/valuation/{id}{rest}"),
            )
        };
        for rest in ["/status", "/tasks", "/events"] {
            let (template, path) = of(rest);
            reader.get(&template, &path).await;
        }
        let template = "/valuation/{id}/tasks/{group}/{task}";
        reader
            .get(template, &format!("/valuation/{id}/tasks/0/1"))
            .await;
    }
    reader
        .get(
            "/valuation/{id}/results",
            &format!("/valuation/{failed}/results"),
        )
        .await;
    reader.get("/valuations", "/valuations").await;
    for path in ["/healthz", "/readyz", "/asyncapi.json"] {
        reader.get(path, path).await;
    }
    reader
        .get("/schemas/{file}", "/schemas/failed.v1.json")
        .await;
    let nobody = "/valuation/01a20d07-ceb0-71d2-8a80-d677f6148452/status";
    reader.get("/valuation/{id}/status", nobody).await;

    let letters = reader.get("/dead-letters", "/dead-letters").await;
    let letter = letters["deadLetters"][0]["id"].as_str().unwrap().to_owned();
    reader
        .get("/dead-letters/{id}", &format!("/dead-letters/{letter}"))
        .await;
    let dry = json!({ "dryRun": true });
    reader.post("/dead-letters/redrive", dry.clone()).await;
    reader.post("/dead-letters/discard", dry).await;
    let why = json!({ "reason": "the curve is there" });
    let (template, path) = (
        "/valuation/{id}/redrive",
        format!("/valuation/{failed}/redrive"),
    );
    let again = reader
        .read(Method::POST, template, &path, Some(why.clone()))
        .await;
    assert_eq!(again["tasks"], json!([2]));
    client.until_status(&failed, "failed").await;
    let (template, path) = (
        "/valuation/{id}/cancel",
        format!("/valuation/{done}/cancel"),
    );
    reader
        .read(Method::POST, template, &path, Some(why.clone()))
        .await;
    let redriven = reader.post("/dead-letters/redrive", why).await;
    assert_eq!(redriven["done"], 1, "{redriven}");

    let call = client.call(Method::POST, "/valuation/check");
    let call = call.header("content-type", "application/xml");
    let checked = client.send(call.body(document(2, 2))).await.json();
    let schema = "/paths/~1valuation~1check/post/responses/200/content/application~1json/schema";
    let schema = reader.document.pointer(schema).unwrap();
    assert_eq!(fits(&reader.document, schema, &checked), Ok(()));
    assert!(reader.read.len() >= 17, "{:?}", reader.read);
}
