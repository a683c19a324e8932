/// The errors of the views, divided by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis did not answer, or not in time: try again, or fold the log.
    #[error("Redis is unavailable: {0}")]
    Unavailable(String),
    /// Redis takes every write except that of this key: an operator must look at the key.
    #[error("Redis refuses a view: {0}")]
    Refused(String),
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
        matches!(self, Self::Unavailable(_))
    }

    /// Converts the error of a guarded write. The script of the write fails because of the content
    /// of its own key. A fault of Redis as a whole, such as a full memory, has a code of its own.
    pub(crate) fn of_write(error: redis::RedisError) -> Self {
        let told = error.to_string();
        let refused = |error: &redis::ServerError| {
            let in_script = || {
                error
                    .details()
                    .is_some_and(|told| told.contains("user_script"))
            };
            error.code() == "WRONGTYPE" || (error.code() == "ERR" && in_script())
        };
        match error.into_server_errors() {
            Some(errors) if errors.iter().any(|(_, error)| refused(error)) => Self::Refused(told),
            _ => Self::Unavailable(told),
        }
    }
}

impl From<redis::RedisError> for Error {
    fn from(error: redis::RedisError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
