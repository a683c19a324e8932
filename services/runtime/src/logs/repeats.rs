//! Warnings that repeat. One cause, such as a broker that is away, makes the same place in the code
//! warn for every request and every attempt.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;

/// How many warnings of one place in the code are written in a period.
pub const LINES: u64 = 10;
/// The period.
pub const PERIOD: Duration = Duration::from_secs(10);

/// The warnings of each place in the code, in its present period. The code has some hundred places.
#[derive(Default)]
pub struct Repeats(Mutex<HashMap<Identifier, Place>>);

struct Place {
    begun: Instant,
    lines: u64,
}

impl Repeats {
    /// Takes a warning in. It returns how many warnings of this place were left out before this one,
    /// or `None` where this one is left out too.
    pub fn take(&self, place: Identifier, now: Instant) -> Option<u64> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(place).or_insert(Place {
            begun: now,
            lines: 0,
        });
        let mut left_out = 0;
        if now.duration_since(place.begun) >= PERIOD {
            left_out = place.lines.saturating_sub(LINES);
            *place = Place {
                begun: now,
                lines: 0,
            };
        }
        place.lines += 1;
        (place.lines <= LINES).then_some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_warns_on_and_on_writes_ten_lines_in_ten_seconds_and_then_how_many_it_left_out()
    {
        let place = || {
            let event = tracing::callsite!(
                name: "place",
                kind: tracing::metadata::Kind::EVENT,
                fields: message
            );
            tracing::Callsite::metadata(event).callsite()
        };
        let (repeats, start) = (Repeats::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for _ in 0..LINES {
            assert_eq!(repeats.take(place(), at(0)), Some(0));
        }
        for second in 1..10 {
            assert_eq!(repeats.take(place(), at(second)), None);
        }
        assert_eq!(repeats.take(place(), at(10)), Some(9));
        assert_eq!(repeats.take(place(), at(11)), Some(0));
    }
}
