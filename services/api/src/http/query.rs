use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use jiff::Timestamp;
use runtime::InvalidSince;

use crate::http::problem::Problem;

/// The query parameters. A parameter that cannot be parsed gives a 400 that names it.
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(error) => Err(refused(&error.body_text())),
        }
    }
}

/// Yes or no, in any spelling and case that clients of the old API send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said(pub bool);

/// The error for a word that is neither yes nor no.
#[derive(Debug, PartialEq, Eq)]
pub struct Neither;

impl std::fmt::Display for Neither {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it must be Y or N, yes or no, true or false, 1 or 0")
    }
}

impl FromStr for Said {
    type Err = Neither;

    fn from_str(word: &str) -> Result<Self, Neither> {
        match word.to_ascii_lowercase().as_str() {
            "y" | "yes" | "true" | "1" => Ok(Self(true)),
            "n" | "no" | "false" | "0" => Ok(Self(false)),
            _ => Err(Neither),
        }
    }
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        word.parse().map_err(D::Error::custom)
    }
}

/// A point in time in a parameter: a timestamp, or an age relative to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since(pub Timestamp);

impl<'de> Deserialize<'de> for Since {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        since(&text, Timestamp::now())
            .map(Self)
            .map_err(D::Error::custom)
    }
}

/// Parses a time in a query. A `+` that was not written as `%2B` arrives as a space.
pub fn since(text: &str, now: Timestamp) -> Result<Timestamp, InvalidSince> {
    runtime::since(text, now).or_else(|error| {
        let offset = text.rfind(' ').filter(|_| text.contains(['T', 't']));
        let Some(at) = offset else {
            return Err(error);
        };
        let meant = format!("{}+{}", &text[..at], &text[at + 1..]);
        runtime::since(&meant, now).map_err(|_| error)
    })
}

/// The error for an invalid parameter.
pub fn refused(why: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-query", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_read_in_every_spelling_of_the_old_api() {
        for word in ["Y", "y", "Yes", "TRUE", "true", "1"] {
            assert_eq!(word.parse(), Ok(Said(true)), "{word}");
        }
        for word in ["N", "n", "no", "False", "0"] {
            assert_eq!(word.parse(), Ok(Said(false)), "{word}");
        }
        for word in ["", "maybe", "2", "ye", " y"] {
            assert_eq!(word.parse::<Said>(), Err(Neither), "{word}");
        }
    }

    #[test]
    fn a_plus_that_came_as_a_space_is_a_plus() {
        let now: Timestamp = "2026-01-31T08:00:00Z".parse().unwrap();
        let time = |text| since(text, now).map(|at| at.to_string());
        let expected = Ok("2026-01-30T07:00:00Z".to_owned());
        assert_eq!(time("2026-01-30T08:00:00+01:00"), expected);
        assert_eq!(time("2026-01-30T08:00:00 01:00"), expected);
        assert_eq!(time("1h"), Ok("2026-01-31T07:00:00Z".to_owned()));
        for text in ["", "2026-01-30", "1 h", "2026-01-30T08:00:00 x", "a b"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
