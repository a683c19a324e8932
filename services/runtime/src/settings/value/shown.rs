//! The canonical form of every type of value: equal values have equal forms, which parse again.

use std::fmt;

use super::{Bytes, Flag, Millis, Positive, SIZE_UNITS, Seconds, TIME_UNITS, Unless, Whole};

/// Writes a number in the largest unit that divides it.
fn write_in(
    f: &mut fmt::Formatter<'_>,
    number: u128,
    units: &[(&str, u64)],
    space: &str,
) -> fmt::Result {
    let divides = |(_, unit): &&(&str, u64)| number.is_multiple_of(u128::from(*unit));
    let largest = units.iter().filter(divides).max_by_key(|(_, unit)| *unit);
    match largest {
        Some((name, unit)) if number > 0 => {
            write!(f, "{}{space}{name}", number / u128::from(*unit))
        }
        _ => write!(f, "{number}"),
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in(f, self.0.as_millis(), &TIME_UNITS, "")
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in(f, self.0.as_millis(), &TIME_UNITS, "")
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut binary = SIZE_UNITS.to_vec();
        binary.retain(|(_, unit)| unit.is_power_of_two());
        write_in(f, u128::from(self.0), &binary, " ")
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Whole<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Positive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Unless<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |value| value.fmt(f))
    }
}
