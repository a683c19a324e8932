//! The types that setting values are parsed as. Each type rejects unusable values, so that they
//! never become settings.

mod shown;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The units of a duration, with their lengths in milliseconds.
const TIME_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
/// The longest duration: a hundred years, in milliseconds. The time at its end must be one that the
/// broker can count in nanoseconds, which it can until 2262.
const DURATION_MAX_MILLIS: u64 = 36_500 * 86_400_000;
/// The units of a size, with their sizes in bytes.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// Why a text is not a value of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Unusable {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// A duration such as `250ms`, `10s`, `5m`, `1h` or `7d`; a plain number counts milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis(Duration);

/// A duration such as `250ms` or `7d`; a plain number counts seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(Duration);

/// A size such as `64 KiB`, `10 MiB` or `1 GB`; a plain number counts bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(u64);

/// A value that is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positive<T>(T);

/// `true` or `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag(bool);

/// A whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<T>(T);

/// A value that may be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unless<T>(Option<T>);

impl<T: FromStr<Err = Unusable>> FromStr for Unless<T> {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        match text {
            "" => Ok(Self(None)),
            text => text.parse().map(Some).map(Self),
        }
    }
}

impl<F, T: Setting<F>> Setting<Option<F>> for Unless<T> {
    fn into_field(self) -> Result<Option<F>, Unusable> {
        self.0.map(Setting::into_field).transpose()
    }
}

/// The number and the unit of a text such as `10 MiB`.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number = text[..end].parse().ok()?;
    Some((number, text[end..].trim_start()))
}

fn duration(text: &str, plain: u64) -> Result<Duration, Unusable> {
    let expected = || Unusable::new("expected a duration such as 250ms, 10s, 5m, 1h or 7d");
    let (number, unit) = split(text).ok_or_else(expected)?;
    let factor = match unit {
        "" => plain,
        unit => {
            let known = TIME_UNITS.iter().find(|(name, _)| *name == unit);
            known.ok_or_else(expected)?.1
        }
    };
    let millis = number.checked_mul(factor).ok_or_else(expected)?;
    if millis > DURATION_MAX_MILLIS {
        return Err(Unusable::new("it must be at most 36500d"));
    }
    Ok(Duration::from_millis(millis))
}

impl FromStr for Millis {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        duration(text, 1).map(Self)
    }
}

impl FromStr for Seconds {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        duration(text, 1_000).map(Self)
    }
}

impl FromStr for Bytes {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        let expected = || Unusable::new("expected a size such as 64 KiB, 10 MiB or 1 GiB");
        let (number, unit) = split(text).ok_or_else(expected)?;
        let factor = match unit {
            "" => 1,
            unit => {
                let is = |name: &str| name.eq_ignore_ascii_case(unit);
                let known = SIZE_UNITS.iter().find(|(name, _)| is(name));
                known.ok_or_else(expected)?.1
            }
        };
        number.checked_mul(factor).map(Self).ok_or_else(expected)
    }
}

impl FromStr for Flag {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        match text {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err(Unusable::new("expected true or false")),
        }
    }
}

impl<T: FromStr> FromStr for Whole<T> {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        let number = text.trim().parse();
        let expected = || Unusable::new("expected a whole number within its range");
        number.map(Self).map_err(|_| expected())
    }
}

/// The zero of a type, for [`Positive`].
pub trait Zero {
    /// Whether the value is zero.
    fn is_zero(&self) -> bool;
}

impl Zero for Millis {
    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

impl Zero for Seconds {
    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

impl Zero for Bytes {
    fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl<T: Default + PartialEq> Zero for Whole<T> {
    fn is_zero(&self) -> bool {
        self.0 == T::default()
    }
}

impl<T: FromStr<Err = Unusable> + Zero> FromStr for Positive<T> {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        let value: T = text.parse()?;
        if value.is_zero() {
            return Err(Unusable::new("it must be greater than zero"));
        }
        Ok(Self(value))
    }
}

/// A value that converts into the field of its setting.
pub trait Setting<F> {
    /// The value of the field, or why it does not fit.
    fn into_field(self) -> Result<F, Unusable>;
}

impl Setting<Duration> for Millis {
    fn into_field(self) -> Result<Duration, Unusable> {
        Ok(self.0)
    }
}

impl Setting<Duration> for Seconds {
    fn into_field(self) -> Result<Duration, Unusable> {
        Ok(self.0)
    }
}

impl<F: TryFrom<u64>> Setting<F> for Bytes {
    fn into_field(self) -> Result<F, Unusable> {
        F::try_from(self.0).map_err(|_| Unusable::new("it is too large"))
    }
}

impl Setting<bool> for Flag {
    fn into_field(self) -> Result<bool, Unusable> {
        Ok(self.0)
    }
}

impl<T> Setting<T> for Whole<T> {
    fn into_field(self) -> Result<T, Unusable> {
        Ok(self.0)
    }
}

impl<F, T: Setting<F>> Setting<F> for Positive<T> {
    fn into_field(self) -> Result<F, Unusable> {
        self.0.into_field()
    }
}

impl Setting<Self> for String {
    fn into_field(self) -> Result<Self, Unusable> {
        Ok(self)
    }
}

impl Setting<Self> for std::net::IpAddr {
    fn into_field(self) -> Result<Self, Unusable> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
