//! Verifies that the workers received the documents that this build makes.

use domain::request::RequestId;
use nats::Commit;

use super::{Problem, Report};
use crate::source::Source;
use crate::{Error, documents};

/// Compares the task documents of a request with the hashes that its attempts reported.
pub async fn compare(
    source: &Source,
    id: RequestId,
    commits: &[Commit],
    report: &mut Report,
) -> Result<(), Error> {
    let given = documents::told(commits).count();
    if given == 0 {
        return Ok(());
    }
    let made = match documents::made(source, commits).await {
        Ok(made) => made,
        // A missing payload is a finding of its own.
        Err(Error::NotFound(_) | Error::Unreadable(_)) => {
            report.note("requests whose task documents cannot be made: a payload is missing");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    report.documents += given as u64;
    for other in documents::others(commits, &made) {
        report.problem(Problem {
            request_id: Some(id),
            kind: "document",
            sequence: Some(other.sequence),
            key: None,
            message: other.told(),
        });
    }
    Ok(())
}
