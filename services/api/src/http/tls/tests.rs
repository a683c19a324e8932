use std::net::SocketAddr;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use harness::Certificates;
use runtime::{Settings, Shutdown};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::*;
use crate::http::serve::{Limits, serve};

/// A listener that answers with the names of its caller.
struct Listening {
    address: SocketAddr,
    certificates: Certificates,
    shutdown: Shutdown,
    serving: JoinSet<()>,
    _folder: tempfile::TempDir,
}

impl Listening {
    async fn start(more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::new(folder.path());
        let shown = |path: &Path| path.display().to_string();
        let mut set = vec![
            ("HTTP_TLS_CERT", shown(&certificates.server.0)),
            ("HTTP_TLS_KEY", shown(&certificates.server.1)),
            ("HTTP_CLIENT_CA", shown(&certificates.ca)),
            ("AUTH_KEYS_FILE", "keys".to_owned()),
            ("DRAIN_DELAY_MS", "0".to_owned()),
        ];
        set.extend(
            more.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        let environment = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        };
        let config = Settings::load(None, environment, |_| None).unwrap().api;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route(
            "/",
            get(async |peer: Option<Extension<PeerNames>>| {
                peer.map_or_else(String::new, |Extension(peer)| peer.0.join(","))
            }),
        );
        let shutdown = Shutdown::new();
        let mut serving = JoinSet::new();
        let until = shutdown.clone();
        serving.spawn(async move {
            let tls = Tls::of(&config).unwrap();
            serve(listener, router, Limits::from(&config), tls, &until).await;
        });
        Self {
            address,
            certificates,
            shutdown,
            serving,
            _folder: folder,
        }
    }

    async fn stop(mut self) {
        self.shutdown.soft();
        self.serving.join_next().await;
    }

    fn client(&self, certificate: bool) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for authority in certificates("ca", &self.certificates.ca).unwrap() {
            roots.add(authority).unwrap();
        }
        let builder = ClientConfig::builder().with_root_certificates(roots);
        if !certificate {
            return builder.with_no_client_auth();
        }
        let (chain, key) = &self.certificates.client;
        let chain = certificates("client", chain).unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        builder.with_client_auth_cert(chain, key).unwrap()
    }

    /// The body of an answer, and the certificate of the server.
    async fn get(&self, client: ClientConfig) -> io::Result<(String, Vec<u8>)> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(client))
            .connect(name, stream)
            .await?;
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Ok((body.to_owned(), certificate))
    }
}

#[tokio::test]
async fn a_client_is_known_by_the_names_in_its_certificate() {
    let listening = Listening::start(&[]).await;
    let (names, _) = listening.get(listening.client(true)).await.unwrap();
    assert_eq!(names, Certificates::CLIENT);
    let (none, _) = listening.get(listening.client(false)).await.unwrap();
    assert_eq!(none, "");
    listening.stop().await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_ends_the_connection() {
    let listening = Listening::start(&[]).await;
    let strangers = tempfile::tempdir().unwrap();
    let strangers = Certificates::new(strangers.path());
    let mut client = listening.client(false);
    let chain = certificates("client", &strangers.client.0).unwrap();
    let key = PrivateKeyDer::from_pem_file(&strangers.client.1).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let shown = rustls::sign::CertifiedKey::new(chain, key);
    client.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(shown));
    assert!(listening.get(client).await.is_err());
    listening.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_an_unusable_one_is_not() {
    let mut listening = Listening::start(&[]).await;
    let (_, first) = listening.get(listening.client(false)).await.unwrap();
    std::fs::write(&listening.certificates.server.0, "half").unwrap();
    tokio::time::sleep(2 * LOOK_EVERY).await;
    let (_, same) = listening.get(listening.client(false)).await.unwrap();
    assert_eq!(first, same);
    listening.certificates.renew_server();
    harness::until("the new certificate is shown", async || {
        let (_, now) = listening.get(listening.client(false)).await.unwrap();
        now != first
    })
    .await;
    listening.stop().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_ends_at_its_limit() {
    let limits = [
        ("FANFOLD_TEST_TLS_HANDSHAKE_TIMEOUT_MS", "300ms"),
        ("FANFOLD_TEST_TLS_HANDSHAKES_MAX", "1"),
    ];
    let listening = Listening::start(&limits).await;
    let mut silent = TcpStream::connect(listening.address).await.unwrap();
    let mut rest = Vec::new();
    // The only place is taken, and free again when the silent one has been dropped.
    let (ended, answer) = tokio::join!(silent.read_to_end(&mut rest), async {
        let mut again = listening.get(listening.client(false)).await;
        while again.is_err() {
            again = listening.get(listening.client(false)).await;
        }
        again
    });
    assert!(ended.is_err() || rest.is_empty());
    assert!(answer.is_ok());
    // Nobody who speaks plain HTTP gets an answer.
    let mut plain = TcpStream::connect(listening.address).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    listening.stop().await;
}

#[test]
fn an_unusable_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::new(folder.path());
    for (certificate, key, named) in [
        (&certificates.ca, folder.path().join("none"), "HTTP_TLS_KEY"),
        (
            &certificates.server.1,
            certificates.server.1.clone(),
            "HTTP_TLS_CERT",
        ),
        (
            &certificates.server.0,
            certificates.client.1.clone(),
            "HTTP_TLS_KEY",
        ),
    ] {
        let files = Files {
            certificate: certificate.clone(),
            key,
            clients: None,
        };
        let said = files.acceptor().err().unwrap().to_string();
        assert!(said.starts_with(named), "{said}");
    }
}
