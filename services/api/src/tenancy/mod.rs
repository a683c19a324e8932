//! What tenants may use, and how they share what all want: quotas, the open requests of each, and
//! fair shares at the door.

mod exceeded;
mod gauge;
mod open;
mod quotas;
mod shares;

pub(crate) use exceeded::Exceeded;
pub(crate) use gauge::Held;
pub(crate) use open::Open;
pub use quotas::InForce;
pub(crate) use quotas::{OfTenant, no_bytes};
pub(crate) use shares::{Load, Shares, Turn};
