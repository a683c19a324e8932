//! The files that browsers load: embedded, each under a name with its hash, so that a browser keeps
//! it forever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::routes::POLICY;

/// How much of the hash a name has.
const HASH_CHARS: usize = 12;

/// A file.
struct Asset {
    name: String,
    kind: &'static str,
    content: &'static str,
}

impl Asset {
    fn new(stem: &str, suffix: &str, kind: &'static str, content: &'static str) -> Self {
        let hash = nats::sha256(content.as_bytes());
        let hash = hash.get(..HASH_CHARS).unwrap_or_default();
        let name = format!("{stem}-{hash}.{suffix}");
        Self {
            name,
            kind,
            content,
        }
    }

    fn path(&self) -> String {
        format!("{FOLDER}{}", self.name)
    }
}

/// Where the files are.
const FOLDER: &str = "/console/assets/";

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let css = include_str!("../web/console.css");
    Asset::new("console", "css", "text/css; charset=utf-8", css)
});

static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let js = include_str!("../web/console.js");
    Asset::new("console", "js", "text/javascript; charset=utf-8", js)
});

static LIVE: LazyLock<Asset> = LazyLock::new(|| {
    let js = include_str!("../web/live.js");
    Asset::new("live", "js", "text/javascript; charset=utf-8", js)
});

static CHANGES: LazyLock<Asset> = LazyLock::new(|| {
    let js = include_str!("../web/changes.js");
    Asset::new("changes", "js", "text/javascript; charset=utf-8", js)
});

static ICON: LazyLock<Asset> = LazyLock::new(|| {
    let svg = include_str!("../web/fanfold.svg");
    Asset::new("fanfold", "svg", "image/svg+xml", svg)
});

/// The path of the style sheet.
pub fn style() -> String {
    STYLE.path()
}

/// The path of the script.
pub fn script() -> String {
    SCRIPT.path()
}

/// The path of the script that keeps pages up to date.
pub fn live() -> String {
    LIVE.path()
}

/// The path of the script that follows changes for all tabs.
pub fn changes() -> String {
    CHANGES.path()
}

/// The path of the icon.
pub fn icon() -> String {
    ICON.path()
}

/// Serves a file.
pub async fn serve(Path(name): Path<String>) -> Response {
    let all = [&STYLE, &SCRIPT, &LIVE, &CHANGES, &ICON];
    let Some(found) = all.into_iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    let kind = HeaderValue::from_static(found.kind);
    // A worker has the policy of its own script.
    let headers = [
        (header::CACHE_CONTROL, forever),
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, found.content).into_response()
}
