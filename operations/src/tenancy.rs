//! Whose a request is, before a command is given to it.

use domain::access::Tenant;
use domain::request::RequestId;
use nats::Error;
use uuid::Uuid;

use crate::Operations;

impl Operations {
    /// Whether a request belongs to another tenant than this one. Of a request that does not exist,
    /// the command itself says so. Both answers cost the same reads, so that their times do not say
    /// which of the two it was.
    pub async fn is_of_another(&self, request: RequestId, tenant: &Tenant) -> Result<bool, Error> {
        let of_another = {
            let loaded = self.log.load(request).await?;
            let known = loaded.state().request();
            known.is_some_and(|known| known.tenant != *tenant)
        };
        if of_another {
            self.log.forget(request);
            let nobody = RequestId::new(Uuid::now_v7());
            self.log.last_sequence(nobody).await?;
        }
        Ok(of_another)
    }
}
