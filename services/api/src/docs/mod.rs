//! `/docs`: the page on which a reader tries the API out.

mod archive;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use crate::http::problem::Problem;

/// What the page is told: where the document of this API is.
const START: &str = r##"window.onload = function() {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    plugins: [SwaggerUIBundle.plugins.DownloadUrl],
    layout: "StandaloneLayout"
  });
};
"##;

/// The page and its files.
pub fn routes() -> Router {
    Router::new()
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route(
            "/docs/",
            get(async |headers: HeaderMap| file("index.html", &headers)),
        )
        .route("/docs/{file}", get(named))
}

async fn named(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&name, &headers)
}

fn file(name: &str, headers: &HeaderMap) -> Response {
    let kind = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "png")) => "image/png",
        _ => "application/octet-stream",
    };
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if name == "swagger-initializer.js" {
        return ([kind], START).into_response();
    }
    let Some(file) = archive::find(name) else {
        let message = format!("there is no file {name} in /docs/");
        return Problem::new(StatusCode::NOT_FOUND, "unknown-route", message).into_response();
    };
    if let Some(packed) = file.as_gzip().filter(|_| takes_gzip(headers)) {
        let coding = (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let vary = (header::VARY, HeaderValue::from_static("accept-encoding"));
        return ([kind, coding, vary], packed).into_response();
    }
    match file.plain() {
        Ok(plain) => ([kind], plain).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether the caller names gzip without a weight, as browsers do. Any other caller gets the file
/// as it is, which the layer around every route may compress.
fn takes_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("gzip"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn get(path: &str, accepts: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
        let request = Request::get(path).header(header::ACCEPT_ENCODING, accepts);
        let response = routes().oneshot(request.body(Body::empty()).unwrap());
        let (parts, body) = response.await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, 4_000_000).await.unwrap();
        (parts.status, parts.headers, body.to_vec())
    }

    #[tokio::test]
    async fn a_browser_gets_the_compressed_file_and_another_caller_the_file_itself() {
        let (_, headers, packed) = get("/docs/swagger-ui.css", "gzip, deflate, br").await;
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        for accepts in ["", "identity", "gzip;q=0", "br"] {
            let (status, headers, plain) = get("/docs/swagger-ui.css", accepts).await;
            assert_eq!(status, StatusCode::OK, "{accepts}");
            assert!(!headers.contains_key(header::CONTENT_ENCODING), "{accepts}");
            assert_eq!(headers[header::CONTENT_TYPE], "text/css; charset=utf-8");
            assert!(plain.len() > 5 * packed.len(), "{accepts}");
        }
    }

    #[tokio::test]
    async fn the_page_loads_only_files_that_exist_and_reads_the_document_of_this_api() {
        let (status, _, page) = get("/docs/", "").await;
        assert_eq!(status, StatusCode::OK);
        let page = String::from_utf8(page).unwrap();
        let quoted = page.split('"').filter(|text| text.contains('.'));
        let files: Vec<&str> = quoted.map(|text| text.trim_start_matches("./")).collect();
        assert!(files.len() >= 6, "{page}");
        for name in files {
            let (status, headers, _) = get(&format!("/docs/{name}"), "").await;
            assert_eq!(status, StatusCode::OK, "{name}");
            assert_ne!(headers[header::CONTENT_TYPE], "application/octet-stream");
        }
        let (_, _, start) = get("/docs/swagger-initializer.js", "").await;
        assert!(
            String::from_utf8(start)
                .unwrap()
                .contains("\"/openapi.json\"")
        );
    }

    #[tokio::test]
    async fn a_file_that_does_not_exist_is_a_404_and_the_bare_path_leads_to_the_page() {
        let (status, ..) = get("/docs/package.json", "").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let (status, headers, _) = get("/docs", "").await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        assert_eq!(headers[header::LOCATION], "/docs/");
    }
}
