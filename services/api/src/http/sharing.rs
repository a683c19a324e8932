//! Resources that callers share, with a limit in total and a limit for each address. A caller that
//! takes everything its address may have leaves the rest to others.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// The minimum share of one address, in places: all callers behind a proxy have one address.
const PLACES_OF_ONE: usize = 256;

/// The origin of a call, as far as the API tells callers apart. It is an IPv4 address, or the `/64`
/// network of an IPv6 address, because one caller may own all its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller(IpAddr);

impl Caller {
    /// A caller without a connection, as in tests.
    pub const NOBODY: Self = Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
}

impl From<SocketAddr> for Caller {
    fn from(peer: SocketAddr) -> Self {
        match peer.ip().to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                Self(Ipv6Addr::from(network).into())
            }
            address @ IpAddr::V4(_) => Self(address),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self::NOBODY))
    }
}

/// The amounts that are taken now.
#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    by: HashMap<Caller, usize>,
}

/// A resource that callers share.
#[derive(Clone, Debug)]
pub struct Shared {
    taken: Arc<Mutex<Taken>>,
    /// The total amount.
    most: usize,
    /// The largest amount for one caller.
    share: usize,
}

/// Which limit is exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// The whole resource is taken.
    All,
    /// The caller has used up its share.
    Share,
}

/// The amount that a caller has taken. Dropping it gives the amount back.
#[derive(Debug)]
pub struct Part {
    of: Shared,
    caller: Caller,
    amount: usize,
}

impl Shared {
    /// A number of places. One caller may have half of them, or 256 if that is more.
    pub fn places(most: usize) -> Self {
        Self::new(most, (most / 2).max(most.min(PLACES_OF_ONE)))
    }

    /// A number of bytes. One caller may have half of them, and always enough for its largest
    /// piece: the total is never less than that.
    pub fn bytes(most: usize, largest: usize) -> Self {
        let most = most.max(largest);
        Self::new(most, (most / 2).max(largest))
    }

    fn new(most: usize, share: usize) -> Self {
        Self {
            taken: Arc::default(),
            most,
            share,
        }
    }

    /// Takes an amount for a caller.
    pub fn take(&self, caller: Caller, amount: usize) -> Result<Part, Beyond> {
        let mut part = self.nothing(caller);
        part.grow(amount)?;
        Ok(part)
    }

    /// How much is taken, and how much there is.
    pub fn amounts(&self) -> (usize, usize) {
        (self.taken().in_all, self.most)
    }

    /// A part with nothing taken yet.
    pub fn nothing(&self, caller: Caller) -> Part {
        Part {
            of: self.clone(),
            caller,
            amount: 0,
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Takes more.
    pub fn grow(&mut self, by: usize) -> Result<(), Beyond> {
        if by == 0 {
            return Ok(());
        }
        let mut taken = self.of.taken();
        let own = taken.by.get(&self.caller).copied().unwrap_or(0);
        if taken.in_all.saturating_add(by) > self.of.most {
            return Err(Beyond::All);
        }
        if own.saturating_add(by) > self.of.share {
            return Err(Beyond::Share);
        }
        taken.in_all += by;
        taken.by.insert(self.caller, own + by);
        self.amount += by;
        Ok(())
    }

    /// Gives some back.
    pub fn shrink(&mut self, by: usize) {
        let by = by.min(self.amount);
        if by == 0 {
            return;
        }
        self.amount -= by;
        let mut taken = self.of.taken();
        taken.in_all -= by;
        if let Some(own) = taken.by.get_mut(&self.caller) {
            *own -= by;
            if *own == 0 {
                taken.by.remove(&self.caller);
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.shrink(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(ip: &str) -> Caller {
        SocketAddr::new(ip.parse().unwrap(), 1).into()
    }

    #[test]
    fn one_caller_has_half_of_the_places_and_the_others_have_the_rest() {
        let places = Shared::places(1_000);
        let (one, other) = (caller("10.0.0.1"), caller("10.0.0.2"));
        let mut held: Vec<Part> = (0..500).map(|_| places.take(one, 1).unwrap()).collect();
        assert_eq!(places.take(one, 1).unwrap_err(), Beyond::Share);
        held.extend((0..500).map(|_| places.take(other, 1).unwrap()));
        assert_eq!(places.take(caller("10.0.0.3"), 1).unwrap_err(), Beyond::All);
        held.pop();
        places.take(caller("10.0.0.3"), 1).unwrap();
        drop(held);
        assert!(places.taken().by.is_empty(), "nobody is remembered");
        assert_eq!(places.taken().in_all, 0);
    }

    #[test]
    fn a_proxy_has_256_places_if_there_are_that_many() {
        for (most, share) in [(1, 1), (256, 256), (300, 256), (512, 256), (514, 257)] {
            let places = Shared::places(most);
            assert!(places.take(caller("::1"), share).is_ok(), "{most}");
            assert!(places.take(caller("::1"), share + 1).is_err(), "{most}");
        }
    }

    #[test]
    fn there_is_always_room_for_one_largest_piece() {
        let bytes = Shared::bytes(100, 80);
        assert!(bytes.take(caller("::1"), 80).is_ok());
        assert_eq!(bytes.take(caller("::1"), 81).unwrap_err(), Beyond::Share);
        assert!(Shared::bytes(10, 80).take(caller("::1"), 80).is_ok());
    }

    #[test]
    fn a_share_that_cannot_grow_gives_everything_back() {
        let bytes = Shared::bytes(100, 1);
        let mut part = bytes.take(caller("10.0.0.1"), 50).unwrap();
        assert_eq!(part.grow(1), Err(Beyond::Share));
        drop(part);
        assert_eq!(bytes.taken().in_all, 0);
    }

    #[test]
    fn the_addresses_of_one_network_are_one_caller() {
        assert_eq!(caller("2001:db8::1"), caller("2001:db8::ffff:1"));
        assert_ne!(caller("2001:db8::1"), caller("2001:db8:0:1::1"));
        assert_eq!(caller("::ffff:10.0.0.1"), caller("10.0.0.1"));
        assert_ne!(caller("10.0.0.1"), caller("10.0.0.2"));
    }
}
