//! The documents that the callers submit, and the results that follow from them. A price is a
//! function of the valuation's name, so that the check needs nothing of the product.

use std::fmt::Write as _;

use crate::random::Random;

/// Characters that make a document too large to be stored in the log itself.
const LARGE: usize = 70_000;

/// The plan of a request's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plan {
    /// Every task succeeds.
    Succeeds,
    /// The first attempt of each group's first task fails.
    Flakes,
    /// The executor refuses the first task of the last group for good.
    Fails,
}

/// A request: what is submitted, and by which way.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is a choice of its own.
pub struct Order {
    pub name: String,
    pub plan: Plan,
    pub groups: usize,
    /// The tasks of each group.
    pub tasks: usize,
    pub large: bool,
    /// Whether the submission has an idempotency key.
    pub keyed: bool,
    /// Whether the caller waits for the result.
    pub sync: bool,
    /// Whether the caller lets the API hold its polls back.
    pub waits: bool,
    /// The API instance that gets the first try.
    pub api: usize,
}

impl Order {
    /// The request with this number. It follows from the seed.
    pub fn new(seed: u64, number: usize) -> Self {
        let mut random = Random::of(seed, &format!("order {number}"));
        let large = random.percent(1);
        let (groups, tasks) = match random.below(10) {
            _ if large => (2, 2),
            0..6 => (2, 3),
            6..9 => (1, 10),
            _ => (3, 13),
        };
        let plan = match random.below(100) {
            0..3 => Plan::Fails,
            3..11 => Plan::Flakes,
            _ => Plan::Succeeds,
        };
        Self {
            name: format!("c{seed}-{number}"),
            plan,
            groups,
            tasks,
            large,
            keyed: random.percent(60),
            sync: random.percent(25),
            waits: random.percent(50),
            api: random.below(2),
        }
    }

    /// The tasks of the request.
    pub fn size(&self) -> usize {
        self.groups * self.tasks
    }

    fn valuation(&self, group: usize, task: usize) -> String {
        let mark = match self.plan {
            Plan::Fails if (group, task) == (self.groups - 1, 0) => "-fail",
            Plan::Flakes if task == 0 => "-flaky",
            _ => "",
        };
        format!("{}-{group}-{task}{mark}", self.name)
    }

    pub fn document(&self) -> String {
        let padding = "x".repeat(if self.large { LARGE } else { 0 });
        let mut text = format!(
            "<vnml><project><market name=\"m\"><rate>0.03</rate><text>{padding}</text></market>"
        );
        for group in 0..self.groups {
            text.push_str("<group>");
            for task in 0..self.tasks {
                // Writing to a String cannot fail.
                let _ = write!(
                    text,
                    "<valuation name=\"{}\"><market select=\"/vnml/project/market[1]\"/>\
                     <analytics><price><amount/></price></analytics></valuation>",
                    self.valuation(group, task)
                );
            }
            text.push_str("</group>");
        }
        text.push_str("</project></vnml>");
        text
    }

    /// What is wrong with a response, if anything.
    pub fn fault_of(&self, response: &str) -> Option<String> {
        let expected: Vec<(String, String)> = (0..self.groups)
            .flat_map(|group| (0..self.tasks).map(move |task| (group, task)))
            .map(|(group, task)| self.valuation(group, task))
            .map(|name| (name.clone(), amount(&name)))
            .collect();
        let found = prices(response);
        if found == expected {
            return None;
        }
        let wrong = expected.iter().find(|one| !found.contains(one));
        let (have, want) = (found.len(), expected.len());
        let head: String = response.chars().take(200).collect();
        Some(format!(
            "{have} prices of {want}, first missing {wrong:?}: {head}"
        ))
    }
}

/// The names and amounts of a response, in order.
fn prices(response: &str) -> Vec<(String, String)> {
    let between = |text: &str, start: &str, end: &str| {
        let (_, rest) = text.split_once(start)?;
        let (found, _) = rest.split_once(end)?;
        Some(found.to_owned())
    };
    let valuations = response.split("<valuation ").skip(1);
    valuations
        .filter_map(|valuation| {
            let name = between(valuation, "name=\"", "\"")?;
            Some((name, between(valuation, "<amount>", "</amount>")?))
        })
        .collect()
}

/// The price of a valuation.
pub fn amount(name: &str) -> String {
    format!("{}.00", crc32(name.as_bytes()) % 100_000)
}

/// CRC-32 as in zip files.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let odd = crc & 1 == 1;
            crc = (crc >> 1) ^ if odd { 0xEDB8_8320 } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_the_checksum_of_the_name() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_wrong_a_missing_and_a_swapped_price_are_noticed() {
        let order = Order {
            plan: Plan::Succeeds,
            ..Order::new(1, 1)
        };
        let priced = |order: &Order| {
            let mut document = order.document();
            for group in 0..order.groups {
                for task in 0..order.tasks {
                    let price = amount(&order.valuation(group, task));
                    document =
                        document.replacen("<amount/>", &format!("<amount>{price}</amount>"), 1);
                }
            }
            document
        };
        let right = priced(&order);
        assert_eq!(order.fault_of(&right), None);
        let first = amount(&order.valuation(0, 0));
        assert!(order.fault_of(&right.replacen(&first, "1.00", 1)).is_some());
        assert!(order.fault_of(&order.document()).is_some());
        let renamed = right.replace(&order.valuation(0, 0), &order.valuation(0, 1));
        assert!(order.fault_of(&renamed).is_some());
    }
}
