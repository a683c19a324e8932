//! Callers with a client certificate. The listener verifies the certificate and puts its names into
//! the extensions of each call.

use std::sync::Arc;

use domain::access::{Principal, Subject};
use jiff::Timestamp;

use super::keys::Keys;
use super::refusal::Refusal;

/// The subject alternative names of a client certificate that the listener has verified against its
/// client CA. The listener inserts this into the extensions of every call of the connection. No
/// header of the caller can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The URIs, in order, such as `spiffe://corp/desk/rates`.
    pub uris: Vec<String>,
    /// The DNS names, in order.
    pub dns_names: Vec<String>,
}

impl PeerCertificate {
    /// The name that stands for the caller: the first URI, or else the first DNS name.
    fn name(&self) -> Option<&str> {
        let mut names = self.uris.iter().chain(&self.dns_names);
        names.next().map(String::as_str)
    }
}

/// Who a certificate is for. Its roles are in the keys file; a name that the file does not have has
/// none.
pub(super) fn who(
    certificate: &PeerCertificate,
    keys: Option<&Keys>,
    now: Timestamp,
) -> Result<Arc<Principal>, Refusal> {
    let unnamed = Refusal::Bad("the certificate has no URI and no DNS name");
    let name = certificate.name().ok_or(unnamed)?;
    if let Some(keys) = keys
        && let Some(known) = keys.certificate(name, now)?
    {
        return Ok(known);
    }
    let subject: Result<Subject, _> = name.parse();
    let subject = subject.map_err(|_| Refusal::Bad("the name in the certificate is no subject"))?;
    if subject == Subject::anonymous() {
        return Err(Refusal::Bad("the name in the certificate is reserved"));
    }
    Ok(Arc::new(Principal::new(subject, [])))
}
