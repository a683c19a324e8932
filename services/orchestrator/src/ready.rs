//! The requests whose next turn may begin, in weighted round robin among their tenants. Where all
//! belong to one tenant, they come in the order in which they were added.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;

use domain::access::Tenant;

/// Lines of one kind of thing, one for each tenant.
pub struct Ready<T> {
    lines: HashMap<Tenant, VecDeque<T>>,
    /// The tenants with a line, the next one first, each with its turns left in this round.
    round: VecDeque<(Tenant, u32)>,
    weights: Weights,
}

/// The weights of the tenants that have another one than 1.
pub type Weights = HashMap<Tenant, NonZeroU32>;

impl<T> Ready<T> {
    pub fn new(weights: Weights) -> Self {
        Self {
            lines: HashMap::new(),
            round: VecDeque::new(),
            weights,
        }
    }

    fn weight(&self, tenant: &Tenant) -> u32 {
        self.weights.get(tenant).map_or(1, |weight| weight.get())
    }

    /// Puts an item at the end of its tenant's line.
    pub fn push(&mut self, tenant: Tenant, item: T) {
        if let Some(line) = self.lines.get_mut(&tenant) {
            line.push_back(item);
            return;
        }
        self.round.push_back((tenant.clone(), self.weight(&tenant)));
        self.lines.insert(tenant, VecDeque::from([item]));
    }

    /// Takes the next item: of the tenant whose turn it is, the first one.
    pub fn pop(&mut self) -> Option<T> {
        let (tenant, left) = self.round.pop_front()?;
        let line = self.lines.get_mut(&tenant)?;
        let item = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&tenant);
        } else if left > 1 {
            self.round.push_front((tenant, left - 1));
        } else {
            let weight = self.weight(&tenant);
            self.round.push_back((tenant, weight));
        }
        item
    }

    pub fn clear(&mut self) {
        self.lines.clear();
        self.round.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popped(ready: &mut Ready<u32>) -> Vec<u32> {
        std::iter::from_fn(|| ready.pop()).collect()
    }

    #[test]
    fn the_items_of_one_tenant_come_in_order() {
        let mut ready = Ready::new(Weights::new());
        for item in 0..5 {
            ready.push(Tenant::default(), item);
        }
        assert_eq!(popped(&mut ready), [0, 1, 2, 3, 4]);
        assert_eq!(ready.pop(), None);
    }

    #[test]
    fn a_tenant_with_little_waits_for_one_item_of_a_tenant_with_much() {
        let mut ready = Ready::new(Weights::new());
        let [red, blue]: [Tenant; 2] = ["red", "blue"].map(|name| name.parse().unwrap());
        for item in 0..100 {
            ready.push(red.clone(), item);
        }
        ready.push(blue.clone(), 1_000);
        assert_eq!((ready.pop(), ready.pop()), (Some(0), Some(1_000)));
        assert_eq!(ready.pop(), Some(1));
        ready.push(blue, 1_001);
        assert_eq!((ready.pop(), ready.pop()), (Some(2), Some(1_001)));
        assert_eq!(popped(&mut ready).len(), 97);
    }

    #[test]
    fn a_tenant_has_as_many_turns_in_a_round_as_its_weight() {
        let [red, blue]: [Tenant; 2] = ["red", "blue"].map(|name| name.parse().unwrap());
        let three = NonZeroU32::new(3).unwrap();
        let mut ready = Ready::new(Weights::from([(red.clone(), three)]));
        for item in 0..6 {
            ready.push(red.clone(), item);
            ready.push(blue.clone(), 10 + item);
        }
        let first: Vec<u32> = popped(&mut ready).into_iter().take(8).collect();
        assert_eq!(first, [0, 1, 2, 10, 3, 4, 5, 11]);
    }
}
