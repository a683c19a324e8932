//! How far the view of a request is behind the log.

use domain::request::{RequestId, Sequence};
use nats::{LogReader, Position};
use projections::Store;

use crate::Error;
use crate::live::Live;

/// How far the view of a request is behind the log.
#[derive(Debug)]
pub struct Freshness {
    /// The sequence that the view has seen. `None` if there is no view. An error if Redis does not
    /// answer.
    pub view: Result<Option<Sequence>, Error>,
    /// The position of the projector, if the broker says it.
    pub projector: Option<Position>,
}

impl Freshness {
    /// Queries Redis and the broker at the same time.
    pub async fn look(
        live: &Live,
        views: impl Future<Output = Result<Store, Error>>,
        id: RequestId,
    ) -> Self {
        let shard = id.partition().shard(live.log.shards());
        let view = async {
            let view = views.await?.get(id).await?;
            Ok(view.map(|view| view.seq))
        };
        let projector = live.connection.log_position(shard, LogReader::Projector);
        let (view, projector) = futures::join!(view, projector);
        Self {
            view,
            projector: projector.ok(),
        }
    }
}
