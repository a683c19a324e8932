//! Callers with a client certificate. The listener verifies the certificate and puts its names into
//! the extensions of each call, where no header of the caller can put any.

use std::sync::Arc;

use domain::access::{Principal, Subject};
use jiff::Timestamp;

use super::keys::Keys;
use super::refusal::Refusal;
use crate::http::tls::PeerNames;

/// Who a certificate is for: its first name stands for the caller. Its roles are in the keys file; a name that the file does not have has
/// none.
pub(super) fn who(
    names: &PeerNames,
    keys: Option<&Keys>,
    now: Timestamp,
) -> Result<Arc<Principal>, Refusal> {
    let unnamed = Refusal::Bad("the certificate has no URI and no DNS name");
    let name = names.0.first().ok_or(unnamed)?;
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
