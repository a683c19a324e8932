use super::{Action, Decision, Principal, Role, Tenant, allows};

/// The tenants that a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This one.
    One(Tenant),
    /// All of them.
    Every,
}

impl Scope {
    /// Whether the call is also for this tenant.
    #[must_use]
    pub fn includes(&self, tenant: &Tenant) -> bool {
        match self {
            Self::One(own) => own == tenant,
            Self::Every => true,
        }
    }

    /// The only tenant, where there is one.
    #[must_use]
    pub fn only(&self) -> Option<&Tenant> {
        match self {
            Self::One(own) => Some(own),
            Self::Every => None,
        }
    }
}

/// What a caller may reach with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The tenants.
    pub scope: Scope,
    /// Whether the caller reaches only what the same subject submitted.
    pub own_only: bool,
}

/// Why a call is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfReach {
    /// The least role that would allow it is missing.
    Denied(Role),
    /// The caller has roles in several tenants and must name one.
    TenantUnnamed,
}

/// Decides which tenants a call is for, and whether the caller may take the action there. A call
/// that names a tenant is for that one. Otherwise it is for every tenant if a role of the
/// deployment allows the action, and for the caller's only tenant if not.
pub fn reach(who: &Principal, action: Action, named: Option<Tenant>) -> Result<Reach, OutOfReach> {
    if action.is_of_system() {
        return within(allows(who, action, None), Scope::Every);
    }
    if let Some(tenant) = named {
        return within(allows(who, action, Some(&tenant)), Scope::One(tenant));
    }
    let everywhere = allows(who, action, None);
    let mut own = who.tenants();
    match (everywhere, own.next(), own.next()) {
        (Decision::Allowed, ..) | (_, None, _) => within(everywhere, Scope::Every),
        (_, Some(tenant), None) => within(
            allows(who, action, Some(tenant)),
            Scope::One(tenant.clone()),
        ),
        (_, Some(_), Some(_)) => Err(OutOfReach::TenantUnnamed),
    }
}

/// Whether a caller may take an action somewhere: on the deployment, or in at least one tenant. If
/// not, the role that is missing.
pub fn somewhere(who: &Principal, action: Action) -> Result<(), Role> {
    let tenants = who.tenants().map(Some);
    let mut all = tenants.chain([None]).map(|on| allows(who, action, on));
    if all.any(|decision| !matches!(decision, Decision::Denied(_))) {
        return Ok(());
    }
    Err(action.needs())
}

fn within(decision: Decision, scope: Scope) -> Result<Reach, OutOfReach> {
    let own_only = match decision {
        Decision::Allowed => false,
        Decision::OnOwn => true,
        Decision::Denied(missing) => return Err(OutOfReach::Denied(missing)),
    };
    Ok(Reach { scope, own_only })
}
