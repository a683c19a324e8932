//! The caller at the command line. It reaches the log itself, so nothing can be kept from it: it is
//! the operator of the machine, and has every role. Its commands still ask for leave as the
//! operations of the API do, so that both are one table.

use domain::access::{Action, Decision, Principal, Role, Subject, Tenant, allows};

/// The variable with the name of the person at this shell.
const USER: &str = "USER";

/// The error for an action that the caller's roles do not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{subject} may not {}: the role {missing} is missing", action.name())]
pub struct NotAllowed {
    /// The caller.
    pub subject: Subject,
    /// The action.
    pub action: Action,
    /// The role that would allow it.
    pub missing: Role,
}

/// The operator of this machine, with the name of the user of this shell.
#[must_use]
pub fn operator() -> Principal {
    let name = std::env::var(USER).unwrap_or_default();
    Principal::admin(name.parse().unwrap_or_else(|_| Subject::anonymous()))
}

/// Whether a caller may take an action on everything of the default tenant.
pub fn permit(who: &Principal, action: Action) -> Result<(), NotAllowed> {
    let missing = match allows(who, action, Some(&Tenant::default())) {
        Decision::Allowed => return Ok(()),
        Decision::OnOwn => Role::Read,
        Decision::Denied(missing) => missing,
    };
    Err(NotAllowed {
        subject: who.subject().clone(),
        action,
        missing,
    })
}
