/// What can go wrong with the views, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Redis did not answer, or not in time: try again, or fold the log.
    #[error("Redis is unavailable: {0}")]
    Unavailable(String),
    /// A view holds something that cannot be read: fold the log.
    #[error("the view {key} cannot be read: {reason}")]
    Corrupt {
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<redis::RedisError> for Error {
    fn from(error: redis::RedisError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
