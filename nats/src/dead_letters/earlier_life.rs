//! Dead letters that outlived the log of their request.
//!
//! The id of a request with an idempotency key follows from the key. Once the log has forgotten the
//! request, the key can be used again, and names another request with the same id. Dead letters are
//! kept for longer than the log, under the names of their tasks.

use std::time::Duration;

use async_nats::jetstream::stream::LastRawMessageErrorKind;
use domain::request::RequestId;
use jiff::Timestamp;

use super::letter::time;
use super::{DeadLetters, Kept};
use crate::no_commit::is_no_commit;
use crate::{Error, subject};

/// How far the clocks of two servers may differ. A letter of an earlier life is older than the
/// request by at least the age of the log.
const CLOCKS_APART: Duration = Duration::from_secs(5);

impl DeadLetters {
    /// Whether a letter is older than the request that has its id now.
    pub(super) async fn is_of_earlier_life(
        &self,
        request: RequestId,
        kept: &Kept,
    ) -> Result<bool, Error> {
        let received = self.received_at(request).await?;
        let latest = kept.at.checked_add(CLOCKS_APART).unwrap_or(Timestamp::MAX);
        Ok(received.is_some_and(|received| latest < received))
    }

    /// When the broker stored the first commit of a request, read from the stream's leader.
    async fn received_at(&self, request: RequestId) -> Result<Option<Timestamp>, Error> {
        let subject = subject::log(request);
        let jetstream = &self.connection.jetstream;
        let name = jetstream.stream_by_subject(subject.clone()).await;
        let name = name.map_err(|error| self.connection.failed("STREAM.NAMES", error))?;
        let stream = jetstream.get_stream_no_info(&name).await;
        let stream = stream.map_err(Error::unavailable)?;
        let mut next = 1;
        loop {
            match stream
                .get_first_raw_message_by_subject(&subject, next)
                .await
            {
                Ok(message) if is_no_commit(Some(&message.headers)) => next = message.sequence + 1,
                Ok(message) => return time(message.time.unix_timestamp_nanos()).map(Some),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                    return Ok(None);
                }
                Err(error) => {
                    let call = format_args!("STREAM.MSG.GET.{name}");
                    return Err(self.connection.failed(call, error));
                }
            }
        }
    }
}
