//! Who may publish and subscribe to what. One table has the permissions of every role
//! ([`table`]). They can be printed as a fragment of the broker's configuration, and every role
//! compares them with what the broker grants it.

mod granted;
mod pattern;
mod table;

use std::collections::BTreeSet;
use std::fmt;

pub(crate) use granted::Needs;
pub use table::Actor;
use table::Names;

use crate::{Access, Topology};

/// The subjects that a user of the broker needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// The subjects to publish to.
    pub publish: BTreeSet<String>,
    /// The subjects to subscribe to.
    pub subscribe: BTreeSet<String>,
}

impl Permissions {
    /// What a role needs, as long as it only checks streams and consumers.
    #[must_use]
    pub fn of(actor: Actor, topology: &Topology, access: &Access) -> Self {
        table::of(actor, &Names::new(topology, access))
    }

    /// What all of these roles need together.
    #[must_use]
    pub fn of_all(actors: &[Actor], topology: &Topology, access: &Access) -> Self {
        let mut all = Self::default();
        for actor in actors {
            let own = Self::of(*actor, topology, access);
            all.publish.extend(own.publish);
            all.subscribe.extend(own.subscribe);
        }
        all
    }

    /// Each permission in words, such as `publish tasks.>`.
    #[must_use]
    pub fn listed(&self) -> Vec<String> {
        let publish = self.publish.iter().map(|at| format!("publish {at}"));
        let subscribe = self.subscribe.iter().map(|at| format!("subscribe {at}"));
        publish.chain(subscribe).collect()
    }
}

/// The permissions in the configuration of nats-server.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |subjects: &BTreeSet<String>| {
            let lines = subjects
                .iter()
                .map(|subject| format!("    \"{subject}\"\n"));
            lines.collect::<String>()
        };
        write!(
            f,
            "permissions: {{\n  publish: {{ allow: [\n{}  ] }}\n  subscribe: {{ allow: [\n{}  ] }}\n}}",
            list(&self.publish),
            list(&self.subscribe)
        )
    }
}
