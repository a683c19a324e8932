use super::{Action, Principal, Role, Tenant};

/// Whether an action is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// On everything of the tenant.
    Allowed,
    /// Only on the requests that the same subject submitted.
    OnOwn,
    /// Not at all. The least role that would allow it is missing.
    Denied(Role),
}

/// Decides whether a caller may take an action on a tenant, or on the deployment itself. Whatever
/// no role allows is denied.
#[must_use]
pub fn allows(who: &Principal, action: Action, on: Option<&Tenant>) -> Decision {
    // A role in a tenant allows nothing on the deployment.
    let on = on.filter(|_| !action.is_of_system());
    let roles = who.roles(on);
    if roles.include(action.needs()) {
        return Decision::Allowed;
    }
    if action == Action::Read && roles.include(Role::Submit) {
        return Decision::OnOwn;
    }
    Decision::Denied(action.needs())
}
