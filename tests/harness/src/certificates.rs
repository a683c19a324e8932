//! Certificates for tests of TLS: an authority, a server and a client.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};

/// The files of an authority, and of a server and a client that it certifies.
pub struct Certificates {
    /// The certificate of the authority.
    pub ca: PathBuf,
    /// The certificate and the key of the server at 127.0.0.1 and localhost.
    pub server: (PathBuf, PathBuf),
    /// The certificate and the key of the client [`Certificates::CLIENT`].
    pub client: (PathBuf, PathBuf),
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    /// The name of the client, as its certificate has it.
    pub const CLIENT: &'static str = "spiffe://fanfold.test/client";

    /// Makes new certificates in this folder.
    pub fn new(folder: &Path) -> Self {
        let mut authority = CertificateParams::default();
        name(&mut authority, "authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(authority, key).unwrap();
        let ca = folder.join("ca.pem");
        std::fs::write(&ca, issuer.pem()).unwrap();
        let mut made = Self {
            ca,
            server: (folder.join("server.pem"), folder.join("server.key")),
            client: (folder.join("client.pem"), folder.join("client.key")),
            folder: folder.to_owned(),
            issuer,
        };
        made.renew_server();
        let mut client = CertificateParams::default();
        let name = SanType::URI(Self::CLIENT.try_into().unwrap());
        client.subject_alt_names.push(name);
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        made.sign("client", client);
        made
    }

    /// Replaces the certificate and the key of the server, and returns the new certificate in PEM.
    pub fn renew_server(&mut self) -> String {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut server = CertificateParams::new(names).unwrap();
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign("server", server)
    }

    fn sign(&self, name: &str, mut params: CertificateParams) -> String {
        self::name(&mut params, name);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let write = |ending: &str, text: &str| {
            std::fs::write(self.folder.join(format!("{name}.{ending}")), text).unwrap();
        };
        write("key", &key.serialize_pem());
        write("pem", &signed.pem());
        signed.pem()
    }
}

/// Gives a certificate a name of its own. OpenSSL takes one with the name of its issuer for
/// self-signed.
fn name(params: &mut CertificateParams, name: &str) {
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
}
