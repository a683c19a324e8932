use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Redirect;
use axum::routing::get;
use runtime::Settings;
use tokio::net::TcpListener;

use super::sign::Credentials;
use super::{Allowed, FetchError, Fetcher};

fn fetcher(settings: &[(&str, &str)]) -> Fetcher {
    let given = |name: &str| {
        let found = settings.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let settings = Settings::load(None, given, |_| None).unwrap();
    Fetcher::new(&settings.references, &settings.aws).unwrap()
}

/// The target of a URI under an allow-list, or the error if it may not be fetched.
fn allows(list: &str, uri: &str) -> bool {
    Allowed::parse(list).unwrap().target(uri).is_ok()
}

#[test]
fn nothing_may_be_fetched_by_default() {
    let default = Allowed::default();
    for uri in [
        "s3://b/k",
        "file:///etc/passwd",
        "/etc/passwd",
        "x.xml",
        "https://example.com/",
        "http://example.com/",
        "ftp://a/b",
        "data:text/xml,<a/>",
        "",
    ] {
        assert!(
            matches!(default.target(uri), Err(FetchError::NotAllowed(_))),
            "{uri}"
        );
    }
}

#[test]
fn a_bucket_is_allowed_whole_or_under_a_prefix_of_whole_parts() {
    assert!(allows("s3://b", "s3://b/any/key"));
    assert!(allows("s3://c, s3://b/team", "s3://b/team/key"));
    for uri in [
        "s3://b/team-b/key",
        "s3://b/tea",
        "s3://b2/team/key",
        "s3://b/team/../key",
        "s3://b/./team/k",
        "s3://b/",
        "s3://b",
        "S3://b/team/key",
        "s3://B/team/key",
    ] {
        assert!(!allows("s3://b/team", uri), "{uri}");
    }
}

#[test]
fn a_host_is_allowed_with_its_port_and_under_its_path() {
    let list = "https://data.example/feeds, https://other.example:8443";
    for uri in [
        "https://data.example/feeds/a.xml?v=1",
        "https://DATA.example:443/feeds",
        "https://other.example:8443/x",
    ] {
        assert!(allows(list, uri), "{uri}");
    }
    for uri in [
        "https://data.example/feedsx",
        "https://data.example/feeds/../x",
        "https://data.example/feeds/%2e%2e/x",
        "https://data.example/feeds/..%2fx",
        "https://data.example/feeds\\..\\x",
        "https://data.example.evil/feeds/a",
        "https://data.example@evil/feeds/a",
        "https://user:pw@data.example/feeds/a",
        "http://data.example/feeds/a",
        "https://other.example/x",
        "https://data.example:8443/feeds/a",
        "gopher://data.example/feeds/a",
    ] {
        assert!(!allows(list, uri), "{uri}");
    }
}

#[test]
fn an_allow_list_that_makes_no_sense_is_refused() {
    for list in [
        "b/k",
        "s3://",
        "s3://b/../c",
        "file://relative",
        "ftp://a",
        "private:s3://b",
        "private:file:///a",
        "private:private:https://a",
        "https://a:b@c",
        "https://a?b",
    ] {
        assert!(Allowed::parse(list).is_err(), "{list}");
    }
    assert!(Allowed::parse("http://a").is_ok());
}

#[tokio::test]
async fn a_file_stays_under_its_root_through_links_too() {
    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::create_dir_all(&outside).unwrap();
    fs::write(root.join("sub/a b.xml"), "<a/>").unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink(outside.join("secret"), root.join("link")).unwrap();
    symlink(&outside, root.join("folder")).unwrap();
    symlink("sub/a b.xml", root.join("inside")).unwrap();
    let root = root.display().to_string();
    let fetcher = fetcher(&[
        ("HREF_ALLOW", &format!("file://{root}")),
        ("FANFOLD_TEST_HREF_MAX_BYTES", "10"),
    ]);
    for uri in [
        format!("file://{root}/sub/a%20b.xml"),
        format!("{root}/sub/a b.xml"),
        "sub/a b.xml".into(),
        format!("file://{root}/inside"),
    ] {
        assert_eq!(
            fetcher.fetch(&uri).await.as_deref(),
            Ok(b"<a/>".as_slice()),
            "{uri}"
        );
    }
    let leading_out = [
        "../outside/secret",
        "../outside/none",
        "link",
        "folder/secret",
        "folder/none",
        "sub/../../outside/secret",
        "/etc/passwd",
        "/etc/none",
    ];
    for uri in leading_out {
        let answer = fetcher.fetch(uri).await;
        assert!(
            matches!(answer, Err(FetchError::NotAllowed(_))),
            "{uri}: {answer:?}"
        );
    }
    for uri in ["none", "sub"] {
        assert!(
            matches!(fetcher.fetch(uri).await, Err(FetchError::Final(_))),
            "{uri}"
        );
    }
    fs::write(folder.path().join("root/big"), "12345678901").unwrap();
    assert!(matches!(
        fetcher.fetch("big").await,
        Err(FetchError::Final(_))
    ));
}

/// Serves routes on a free port until the test ends.
async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

fn local(host: &str, more: &[(&str, &str)]) -> Fetcher {
    let mut settings = vec![("HREF_ALLOW", host)];
    settings.extend(more);
    fetcher(&settings)
}

#[tokio::test]
async fn an_allowed_host_is_asked_at_the_address_that_was_checked() {
    let host = serve(Router::new().route("/a.xml", get(|| async { "<a/>" }))).await;
    let uri = format!("{host}/a.xml");
    assert_eq!(local(&host, &[]).fetch(&uri).await.unwrap(), b"<a/>");
    let named = host.replace("127.0.0.1", "localhost");
    let elsewhere = format!("{named},private:{named}/other");
    for careful in [named.as_str(), elsewhere.as_str()] {
        let fetched = local(careful, &[]).fetch(&format!("{named}/a.xml")).await;
        let Err(FetchError::NotAllowed(said)) = fetched else {
            panic!("{fetched:?}");
        };
        assert!(said.contains("needs private: in front"), "{said}");
    }
    let private = format!("private:{named}");
    let named_url = local(&private, &[]).fetch(&format!("{named}/a.xml")).await;
    // If the name resolves to an IPv6 address first, no server listens there.
    assert!(
        matches!(named_url, Ok(_) | Err(FetchError::Transient(_))),
        "{named_url:?}"
    );
}

#[tokio::test]
async fn redirects_are_not_followed_and_errors_are_distinguished() {
    let followed = Arc::new(AtomicU32::new(0));
    let counted = followed.clone();
    let routes = Router::new()
        .route("/away", get(|| async { Redirect::temporary("/there") }))
        .route(
            "/there",
            get(move || async move { counted.fetch_add(1, Ordering::SeqCst).to_string() }),
        )
        .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .route(
            "/slow",
            get(|| async { tokio::time::sleep(Duration::from_mins(1)).await }),
        );
    let host = serve(routes).await;
    let fetcher = local(&host, &[("FANFOLD_TEST_HREF_TIMEOUT_MS", "200")]);
    let fetch = async |path: &str| fetcher.fetch(&format!("{host}{path}")).await;
    assert!(matches!(fetch("/away").await, Err(FetchError::Final(_))));
    assert_eq!(followed.load(Ordering::SeqCst), 0);
    assert!(matches!(fetch("/none").await, Err(FetchError::Final(_))));
    assert!(matches!(
        fetch("/busy").await,
        Err(FetchError::Transient(_))
    ));
    assert!(matches!(
        fetch("/slow").await,
        Err(FetchError::Transient(_))
    ));
    let nobody = local("http://127.0.0.1:9", &[])
        .fetch("http://127.0.0.1:9/")
        .await;
    assert!(
        matches!(nobody, Err(FetchError::Transient(_))),
        "{nobody:?}"
    );
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn a_body_that_is_too_large_even_after_decompression_is_stopped() {
    let bomb = gzip(&vec![b' '; 50_000_000]);
    assert!(bomb.len() < 100_000);
    let packed =
        |bytes: Vec<u8>| move || async move { ([(header::CONTENT_ENCODING, "gzip")], bytes) };
    let routes = Router::new()
        .route("/bomb", get(packed(bomb)))
        .route("/packed", get(packed(gzip(b"<a/>"))))
        .route("/broken", get(packed(b"not gzip".to_vec())))
        .route("/big", get(|| async { "x".repeat(100_001) }))
        .route(
            "/odd",
            get(|| async { ([(header::CONTENT_ENCODING, "br")], "x") }),
        );
    let host = serve(routes).await;
    let fetcher = local(&host, &[("FANFOLD_TEST_HREF_MAX_BYTES", "100000")]);
    let fetch = async |path: &str| fetcher.fetch(&format!("{host}{path}")).await;
    assert_eq!(fetch("/packed").await.unwrap(), b"<a/>");
    for path in ["/bomb", "/big", "/broken", "/odd"] {
        let answer = fetch(path).await;
        assert!(
            matches!(answer, Err(FetchError::Final(_))),
            "{path}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn an_object_is_asked_for_at_the_endpoint_signed_where_there_is_a_key() {
    let object = get(|headers: HeaderMap| async move {
        let signature = headers.get(header::AUTHORIZATION);
        signature.map_or("unsigned", |_| "signed")
    });
    let endpoint = serve(Router::new().route("/bucket/a%20b/c.xml", object)).await;
    let open = fetcher(&[("HREF_ALLOW", "s3://bucket"), ("S3_ENDPOINT", &endpoint)]);
    assert_eq!(
        open.fetch("s3://bucket/a b/c.xml").await.unwrap(),
        b"unsigned"
    );
    assert!(matches!(
        open.fetch("s3://bucket/none").await,
        Err(FetchError::Final(_))
    ));
    let settings = [
        ("HREF_ALLOW", "s3://bucket"),
        ("S3_ENDPOINT", &endpoint),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
    ];
    assert_eq!(
        fetcher(&settings)
            .fetch("s3://bucket/a b/c.xml")
            .await
            .unwrap(),
        b"signed"
    );
}

/// The example of Amazon's documentation, "Signature Calculations for the Authorization Header".
#[test]
fn a_get_is_signed_as_in_the_example_of_the_documentation() {
    let credentials = Credentials {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        session_token: None,
    };
    let now = "2013-05-24T00:00:00Z".parse().unwrap();
    let more = [("range", "bytes=0-9".to_owned())];
    let host = "examplebucket.s3.amazonaws.com";
    let headers = credentials.sign("us-east-1", host, "/test.txt", now, &more);
    let (_, authorization) = headers.last().unwrap();
    let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    assert!(authorization.ends_with(signature), "{authorization}");
}
