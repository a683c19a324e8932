/// The errors of the views, divided by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis did not answer, or not in time: try again, or fold the log.
    #[error("Redis is unavailable: {0}")]
    Unavailable(String),
    /// Redis does not allow this user the command or the key: an operator must change the access
    /// list.
    #[error("Redis does not allow it: {0}")]
    Denied(String),
    /// Redis takes every write except that of this key: an operator must look at the key.
    #[error("Redis refuses a view: {0}")]
    Refused(String),
    /// A key that is not a view has another type than Fanfold gives it: delete it, and build its
    /// content anew.
    #[error("the key {key} has another type")]
    Foreign {
        /// The key.
        key: String,
    },
    /// A view holds data that cannot be read: fold the log.
    #[error("the view {key} cannot be read: {reason}")]
    Corrupt {
        /// The key of the view.
        key: String,
        /// Why the data cannot be read.
        reason: String,
    },
}

impl Error {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Foreign { .. })
    }

    /// Converts the error of a plain command on one key.
    pub(crate) fn of_key(key: String, error: redis::RedisError) -> Self {
        if is_of_another_type(&error) {
            Self::Foreign { key }
        } else {
            error.into()
        }
    }

    /// Converts the error of a guarded write. The script of the write fails because of the content
    /// of its own key. A fault of Redis as a whole, such as a full memory, has a code of its own.
    pub(crate) fn of_write(error: &redis::RedisError) -> Self {
        let told = error.to_string();
        if is_denied(error) {
            Self::Denied(told)
        } else if is_of_its_key(error) {
            Self::Refused(told)
        } else {
            Self::Unavailable(told)
        }
    }
}

/// Whether a guarded write failed because of the content of its own key.
pub(crate) fn is_of_its_key(error: &redis::RedisError) -> bool {
    any(error, |error| {
        let in_script = || {
            error
                .details()
                .is_some_and(|told| told.contains("user_script"))
        };
        error.code() == WRONG_TYPE || (error.code() == "ERR" && in_script())
    }) && !is_denied(error)
}

/// Whether a command failed because its key has another type.
pub(crate) fn is_of_another_type(error: &redis::RedisError) -> bool {
    any(error, |error| error.code() == WRONG_TYPE)
}

const WRONG_TYPE: &str = "WRONGTYPE";
const NO_PERMISSION: &str = "NOPERM";
/// What Redis says where a script runs a command that its user may not run.
const ACL_FAILURE: &str = "ACL failure in script";

fn any(error: &redis::RedisError, is: impl Fn(&redis::ServerError) -> bool) -> bool {
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|errors| errors.iter().any(|(_, error)| is(error)))
}

/// Whether the access list of Redis refuses the command, or a command of a script.
pub(crate) fn is_denied(error: &redis::RedisError) -> bool {
    any(error, |error| {
        let in_script = || {
            let told = error.details();
            told.is_some_and(|told| told.contains(ACL_FAILURE))
        };
        error.code() == NO_PERMISSION || in_script()
    })
}

impl From<redis::RedisError> for Error {
    fn from(error: redis::RedisError) -> Self {
        if is_denied(&error) {
            Self::Denied(error.to_string())
        } else {
            Self::Unavailable(error.to_string())
        }
    }
}
