use proptest::collection::vec;
use proptest::prelude::*;

/// Decides the next step from recorded choices. Once they are used up, everything runs in order.
#[derive(Clone, Debug, Default)]
pub struct Chance(Vec<u8>);

impl Chance {
    pub fn of(choices: Vec<u8>) -> Self {
        Self(choices)
    }

    pub fn pick(&mut self, of: usize) -> usize {
        self.0.pop().map_or(0, |choice| usize::from(choice) % of)
    }

    pub fn strikes(&mut self) -> bool {
        self.0.pop().is_some_and(|choice| choice % 4 == 0)
    }
}

pub fn chance() -> impl Strategy<Value = Chance> {
    vec(any::<u8>(), 0..400).prop_map(Chance::of)
}
