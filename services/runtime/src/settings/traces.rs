//! Where traces are posted, with what, and which of them are kept.

use std::fmt;
use std::str::FromStr;

use domain::request::{InvalidTraceRatio, TraceRatio};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::error::Wrong;
use super::table::TracesConfig;
use super::value::{Setting, Unusable};

/// The path of traces at a collector.
const TRACES: &str = "v1/traces";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// A share, from 0 to 1.
#[derive(Clone, Debug)]
pub struct Ratio {
    text: String,
    ratio: TraceRatio,
}

impl FromStr for Ratio {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        let ratio = text.parse();
        let ratio = ratio.map_err(|error: InvalidTraceRatio| Unusable::new(error.to_string()))?;
        Ok(Self {
            text: text.trim().to_owned(),
            ratio,
        })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Setting<TraceRatio> for Ratio {
    fn into_field(self) -> Result<TraceRatio, Unusable> {
        Ok(self.ratio)
    }
}

impl TracesConfig {
    /// Whether traces are sent.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.endpoint().is_ok_and(|endpoint| endpoint.is_some())
    }

    /// Where traces are posted; `None` where none are.
    pub fn endpoint(&self) -> Result<Option<Url>, Wrong> {
        if let Some(url) = &self.otel_exporter_otlp_traces_endpoint {
            return read(TRACES_ENDPOINT, url.expose_secret()).map(Some);
        }
        let Some(url) = &self.otel_exporter_otlp_endpoint else {
            return Ok(None);
        };
        let mut url = read(ENDPOINT, url.expose_secret())?;
        let path = format!("{}/{TRACES}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Some(url))
    }

    /// The headers of each post.
    pub fn headers(&self) -> Result<Vec<(String, SecretString)>, Wrong> {
        let set = self.otel_exporter_otlp_headers.as_ref();
        let headers = pairs(set.map_or("", |headers| headers.expose_secret()));
        let headers = headers.ok_or_else(|| Wrong::new(HEADERS, NO_PAIRS))?;
        let secret = |(name, value): (String, String)| (name, value.into());
        Ok(headers.into_iter().map(secret).collect())
    }

    /// The attributes of the service that made the traces: those that are set, and the name.
    pub fn resource(&self) -> Result<Vec<(String, String)>, Wrong> {
        let attributes = pairs(&self.otel_resource_attributes);
        let mut attributes = attributes.ok_or_else(|| Wrong::new(ATTRIBUTES, NO_PAIRS))?;
        attributes.retain(|(name, _)| name != "service.name");
        attributes.insert(0, ("service.name".into(), self.otel_service_name.clone()));
        Ok(attributes)
    }

    pub(super) fn check(&self) -> Result<(), Wrong> {
        self.endpoint()?;
        self.headers()?;
        self.resource().map(|_| ())
    }
}

/// Why a list cannot be read.
const NO_PAIRS: &str = "expected name=value, separated by commas";

fn read(name: &'static str, url: &str) -> Result<Url, Wrong> {
    let url: Url = url
        .parse()
        .map_err(|_| Wrong::new(name, "expected a URL"))?;
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    is_http
        .then_some(url)
        .ok_or_else(|| Wrong::new(name, "expected an http:// or https:// URL"))
}

/// The names and values of a list such as `a=1,b=x%20y`.
fn pairs(list: &str) -> Option<Vec<(String, String)>> {
    let entries = list
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    let pair = |entry: &str| {
        let (name, value) = entry.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let name = Some(name.trim()).filter(|name| !name.is_empty())?;
        Some((name.to_owned(), value.into_owned()))
    };
    entries.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    fn load(set: &[(&str, &str)]) -> Result<TracesConfig, String> {
        let of = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let loaded = Settings::load(None, of, |_| None);
        loaded
            .map(|settings| settings.traces)
            .map_err(|error| error.to_string())
    }

    fn endpoint(set: &[(&str, &str)]) -> Option<String> {
        let endpoint = load(set).unwrap().endpoint().unwrap();
        endpoint.map(|url| url.to_string())
    }

    #[test]
    fn traces_are_posted_where_the_standard_says() {
        for (base, url) in [
            ("http://collector:4318", "http://collector:4318/v1/traces"),
            ("http://collector:4318/", "http://collector:4318/v1/traces"),
            ("https://h/otlp?k=1", "https://h/otlp/v1/traces?k=1"),
        ] {
            assert_eq!(endpoint(&[(ENDPOINT, base)]).as_deref(), Some(url));
        }
        let both = [(ENDPOINT, "http://a"), (TRACES_ENDPOINT, "http://b/in")];
        assert_eq!(endpoint(&both).as_deref(), Some("http://b/in"));
        assert_eq!(endpoint(&[]), None);
        assert!(!load(&[]).unwrap().is_on() && load(&both).unwrap().is_on());
    }

    #[test]
    fn headers_and_attributes_are_lists_of_percent_encoded_values() {
        let config = load(&[
            (HEADERS, "authorization=Bearer%20abc==, x-scope = desk ,"),
            (
                ATTRIBUTES,
                "deployment.environment.name=prod,service.name=other",
            ),
            ("OTEL_SERVICE_NAME", "valuer"),
        ])
        .unwrap();
        let headers = config.headers().unwrap();
        let headers: Vec<_> = headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.expose_secret()))
            .collect();
        assert_eq!(
            headers,
            [("authorization", "Bearer abc=="), ("x-scope", "desk")]
        );
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            of("service.name", "valuer"),
            of("deployment.environment.name", "prod"),
        ];
        assert_eq!(config.resource().unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_its_secrets() {
        for (name, value) in [
            (ENDPOINT, "collector:4318"),
            (TRACES_ENDPOINT, "ftp://collector"),
            (HEADERS, "s3cret"),
            (HEADERS, "=s3cret"),
            (ATTRIBUTES, "a"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ] {
            let said = load(&[(name, value)]).unwrap_err();
            assert!(said.starts_with(name) && !said.contains("s3cret"), "{said}");
        }
    }
}
