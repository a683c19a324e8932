//! Streams and consumers, as the broker describes them.

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::stream::Stream;

use crate::{Connection, Error};

impl Connection {
    /// A stream, as its leader describes it.
    pub(crate) async fn described(&self, name: &str) -> Result<Stream, Error> {
        let stream = self.jetstream.get_stream(name).await;
        stream.map_err(|error| self.failed(format_args!("STREAM.INFO.{name}"), error))
    }

    /// A consumer of a stream, as its leader describes it.
    pub(crate) async fn consumer(&self, stream: &str, name: &str) -> Result<PullConsumer, Error> {
        let consumer = self.jetstream.get_consumer_from_stream(name, stream).await;
        let call = format_args!("CONSUMER.INFO.{stream}.{name}");
        consumer.map_err(|error| self.failed(call, error))
    }
}
