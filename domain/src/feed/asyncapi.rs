use serde_json::{Map, Value, json};

use super::{SOURCE, event_type, schema};
use crate::request::EventKind;

/// The `AsyncAPI` document of the lifecycle feed.
#[must_use]
pub fn asyncapi() -> Value {
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut messages = Map::new();
    let mut schemas = Map::new();
    for kind in EventKind::all().filter(|kind| kind.is_in_feed()) {
        let event = kind.name();
        for of in [Of::Default, Of::Tenant] {
            channels.insert(of.name(event), channel(event, of));
            operations.insert(format!("on-{}", of.name(event)), operation(event, of));
        }
        messages.insert(event.to_owned(), message(event));
        schemas.insert(event.to_owned(), schema(kind));
    }
    schemas.insert("headers".to_owned(), headers());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Fanfold lifecycle feed",
            "version": "1.0.0",
            "description": "What happens to valuation requests, as CloudEvents 1.0 in the NATS \
                            binding's binary mode. At least once: de-duplicate by ce-id. Within \
                            v1 the data only grows: take no notice of fields you do not know.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "localhost:4222",
                "protocol": "nats",
                "description": "JetStream; the stream is LIFECYCLE.",
            },
        },
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    })
}

/// Whose events a channel has.
#[derive(Clone, Copy)]
enum Of {
    /// Those of the tenant `default`.
    Default,
    /// Those of any other tenant.
    Tenant,
}

impl Of {
    fn name(self, event: &str) -> String {
        match self {
            Self::Default => event.to_owned(),
            Self::Tenant => format!("tenant-{event}"),
        }
    }
}

fn channel(event: &str, of: Of) -> Value {
    let partition = json!({
        "description": "0 to 63: the partition of the request, which is in ce-subject. \
                        Events of before version 0.2 have the request here.",
    });
    let (address, parameters) = match of {
        Of::Default => (
            format!("lifecycle.{event}.{{partition}}"),
            json!({ "partition": partition }),
        ),
        Of::Tenant => (
            format!("tenants.{{tenant}}.lifecycle.{event}.{{partition}}"),
            json!({
                "tenant": { "description": "The tenant, unless it is default." },
                "partition": partition,
            }),
        ),
    };
    json!({
        "address": address,
        "parameters": parameters,
        "messages": { event: { "$ref": format!("#/components/messages/{event}") } },
    })
}

fn operation(event: &str, of: Of) -> Value {
    json!({
        "action": "send",
        "channel": { "$ref": format!("#/channels/{}", of.name(event)) },
        "summary": format!("Fanfold says that a request's event `{event}` happened."),
    })
}

fn message(event: &str) -> Value {
    json!({
        "name": event_type(event),
        "contentType": "application/json",
        "headers": { "$ref": "#/components/schemas/headers" },
        "payload": { "$ref": format!("#/components/schemas/{event}") },
    })
}

fn headers() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    json!({
        "type": "object",
        "required": [
            "ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject", "ce-time",
            "ce-sequence", "content-type",
        ],
        "properties": {
            "ce-specversion": { "const": "1.0" },
            "ce-id": text("request:sequence:index; the same event has the same id however often it comes"),
            "ce-source": { "const": SOURCE },
            "ce-type": text("fanfold.request.<event>.v1"),
            "ce-subject": text("The request."),
            "ce-time": { "type": "string", "format": "date-time" },
            "ce-sequence": text("The commit's sequence in the log: it grows within a request."),
            "ce-tenant": text("The tenant of the request; not there where it is default."),
            "traceparent": text("Where in a trace of the submitter's the request belongs (W3C Trace Context); not there where the submission had none."),
            "ce-dataschema": text("Where the schema of the data is served."),
            "content-type": { "const": "application/json" },
        },
    })
}
