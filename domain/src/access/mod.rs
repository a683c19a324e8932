//! Who a caller is, and what the caller may do. Both are pure functions: the authenticators of the
//! API say who, and every operation asks whether.

mod action;
mod allows;
mod grant;
mod principal;
mod role;
mod scope;
mod tenant;

#[cfg(test)]
mod stories;

pub use action::Action;
pub use allows::{Decision, allows};
pub use grant::{Grant, InvalidGrant};
pub use principal::{InvalidSubject, Principal, Subject};
pub use role::{Role, Roles};
pub use scope::{OutOfReach, Reach, Scope, reach, somewhere};
pub use tenant::{InvalidTenant, Tenant};
