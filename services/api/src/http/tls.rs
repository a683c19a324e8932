//! The TLS of a listener: its certificate, which is read again when its files change, and the
//! clients that an authority knows.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use runtime::ApiConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often the files are looked at for a change.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The names in the certificate of a client that an authority of the listener certified: its URIs,
/// and after them its DNS names. An extension of every request of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerNames(pub Arc<[String]>);

/// The files of a listener's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// The authorities of the clients.
    clients: Option<PathBuf>,
}

/// The TLS of a listener.
pub struct Tls {
    files: Files,
    /// When each file was changed, as far as it was there.
    changed: Vec<Option<SystemTime>>,
    acceptor: TlsAcceptor,
    handshakes: Arc<Semaphore>,
    timeout: Duration,
}

/// One handshake to come.
pub struct Handshake {
    acceptor: TlsAcceptor,
    handshakes: Arc<Semaphore>,
    timeout: Duration,
}

impl Tls {
    /// The TLS of the settings, if they have a certificate.
    pub fn of(config: &ApiConfig) -> io::Result<Option<Self>> {
        if config.http_tls_cert.is_empty() {
            return Ok(None);
        }
        let clients = Some(&config.http_client_ca).filter(|path| !path.is_empty());
        let files = Files {
            certificate: PathBuf::from(&config.http_tls_cert),
            key: PathBuf::from(&config.http_tls_key),
            clients: clients.map(PathBuf::from),
        };
        Ok(Some(Self {
            changed: files.changed(),
            acceptor: files.acceptor()?,
            files,
            handshakes: Arc::new(Semaphore::new(config.tls_handshakes_max)),
            timeout: config.tls_handshake_timeout,
        }))
    }

    /// Reads the files again if one has changed. Where they are unusable, the last ones stay: they
    /// may be half written.
    pub fn look(&mut self) {
        let changed = self.files.changed();
        if changed == self.changed {
            return;
        }
        match self.files.acceptor() {
            Ok(acceptor) => {
                tracing::info!("the certificate of the listener was read again");
                self.acceptor = acceptor;
                self.changed = changed;
            }
            Err(error) => tracing::warn!(%error, "the listener keeps its last certificate"),
        }
    }

    /// The handshake of the next connection.
    pub fn handshake(&self) -> Handshake {
        Handshake {
            acceptor: self.acceptor.clone(),
            handshakes: self.handshakes.clone(),
            timeout: self.timeout,
        }
    }
}

impl Handshake {
    /// Makes the connection a TLS connection, within the limits on time and on handshakes at once.
    pub async fn shake(self, stream: TcpStream) -> io::Result<Box<TlsStream<TcpStream>>> {
        let shaking = async {
            let place = self.handshakes.acquire().await;
            let _place = place.map_err(|_| io::Error::from(io::ErrorKind::NotConnected))?;
            self.acceptor.accept(stream).await.map(Box::new)
        };
        let shaken = tokio::time::timeout(self.timeout, shaking).await;
        shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// The names of the client of a connection, where it showed a certificate.
pub fn peer(stream: &TlsStream<TcpStream>) -> Option<PeerNames> {
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates()?.first()?;
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let names = certificate.valid_uri_names();
    let names = names.chain(certificate.valid_dns_names());
    Some(PeerNames(names.map(str::to_owned).collect()))
}

impl Files {
    fn changed(&self) -> Vec<Option<SystemTime>> {
        let all = [&self.certificate, &self.key].into_iter();
        let changed = |path: &PathBuf| path.metadata().and_then(|found| found.modified()).ok();
        all.chain(&self.clients).map(changed).collect()
    }

    fn acceptor(&self) -> io::Result<TlsAcceptor> {
        // The first use chooses the provider for the process. Another one serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = ServerConfig::builder();
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut authorities = RootCertStore::empty();
                for certificate in certificates("HTTP_CLIENT_CA", path)? {
                    let added = authorities.add(certificate);
                    added.map_err(|error| wrong("HTTP_CLIENT_CA", path, error))?;
                }
                // Whoever has no certificate may have another credential, or ask for what needs
                // none. A bad certificate ends the connection.
                let verifier = WebPkiClientVerifier::builder(authorities.into());
                let verifier = verifier.allow_unauthenticated().build();
                let verifier = verifier.map_err(|error| wrong("HTTP_CLIENT_CA", path, error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = certificates("HTTP_TLS_CERT", &self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key);
        let key = key.map_err(|error| wrong("HTTP_TLS_KEY", &self.key, error))?;
        let config = builder.with_single_cert(chain, key);
        let mut config = config.map_err(|error| wrong("HTTP_TLS_KEY", &self.key, error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn certificates(setting: &str, path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(|error| wrong(setting, path, error))?;
    if found.is_empty() {
        return Err(wrong(setting, path, "it has no certificate"));
    }
    Ok(found)
}

fn wrong(setting: &str, path: &Path, reason: impl std::fmt::Display) -> io::Error {
    let path = path.display();
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{setting}='{path}': {reason}"),
    )
}

#[cfg(test)]
mod tests;
