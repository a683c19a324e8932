//! Checks that a reply is a result.

use bytes::Bytes;
use domain::FailureCode;

use super::walk::{Defect, Step, Walk};
use super::{Fault, aside};

/// Where a result has its valuation.
const PLAIN: [&str; 4] = ["vnml", "project", "group", "valuation"];
/// Where a job's reply has its result, below a root of any name.
const WRAPPING: [&str; 3] = ["job", "task", "results"];

/// Accepts a reply that can be put into its request: XML in UTF-8 with a valuation.
///
/// The worker checks this, so that a program that answers nonsense fails its own attempt, with its
/// name and its last words, rather than the request later on.
pub(super) async fn checked(reply: Bytes) -> Result<Bytes, Fault> {
    aside::computed(reply, checked_in_place).await
}

fn checked_in_place(reply: Bytes) -> Result<Bytes, Fault> {
    match has_valuation(&reply) {
        Ok(true) => Ok(reply),
        Ok(false) => Err(invalid("it has no /vnml/project/group/valuation")),
        Err(defect) => Err(invalid(&defect.to_string())),
    }
}

fn invalid(defect: &str) -> Fault {
    Fault::permanent(
        FailureCode::ResultInvalid,
        format!("the result cannot be used: {defect}"),
    )
}

fn has_valuation(reply: &[u8]) -> Result<bool, Defect> {
    let mut walk = Walk::over(reply)?;
    let mut found = false;
    loop {
        match walk.step()? {
            Step::Open(_) => found = found || is_valuation(walk.path()),
            Step::End => return Ok(found),
            Step::Text(_) | Step::Close { .. } => {}
        }
    }
}

fn is_valuation(path: &[&str]) -> bool {
    match path {
        [_, wrapping @ .., _, _, _, _] if wrapping == WRAPPING => path.ends_with(&PLAIN),
        path => path == PLAIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{MAX_DEPTH, Retry};

    fn refused(reply: &[u8]) -> String {
        let fault = checked_in_place(Bytes::copy_from_slice(reply)).unwrap_err();
        assert_eq!(
            (fault.code.as_str(), fault.retry),
            ("result-invalid", Retry::Never)
        );
        fault.message
    }

    #[test]
    fn a_document_of_the_tasks_shape_is_a_result() {
        for reply in [
            "<vnml><project><group><valuation/></group></project></vnml>",
            "\u{feff}<?xml version=\"1.0\"?><!-- c --><vnml a='/>'><project><group><valuation>&lt;\
             </valuation></group></project></vnml>\n",
        ] {
            let reply = Bytes::from(reply);
            assert_eq!(checked_in_place(reply.clone()).unwrap(), reply);
        }
    }

    #[test]
    fn a_jobs_reply_is_a_result() {
        let reply = "<reply><job><task><results><vnml><project><group><valuation/></group>\
                     </project></vnml></results></task></job></reply>";
        checked_in_place(Bytes::from(reply)).unwrap();
    }

    #[test]
    fn any_other_output_is_refused_with_a_reason() {
        for (reply, says) in [
            ("", "no element"),
            ("done.\n", "no element"),
            ("<vnml/>", "no /vnml/project/group/valuation"),
            ("<a><valuation/></a>", "no /vnml/project/group/valuation"),
            ("<vnml><project>", "ends before </project>"),
            ("<vnml></project>", "</project> where </vnml> is due"),
            ("<vnml/></vnml>", "does not match any open tag"),
            ("<vnml/><vnml/>", "more than one root"),
            ("<vnml a", "not well-formed"),
            ("<!DOCTYPE vnml><vnml/>", "DOCTYPE"),
            ("<vnml>&#0;</vnml>", "&#0;"),
        ] {
            let refused = refused(reply.as_bytes());
            assert!(refused.contains(says), "{refused:?} does not say {says:?}");
        }
        assert!(refused(&[b'<', 0xff]).contains("not UTF-8"));
    }

    #[test]
    fn a_result_is_no_deeper_than_a_request_may_be() {
        let nested = |depth: usize| {
            let inner = depth - PLAIN.len();
            Bytes::from(format!(
                "<vnml><project><group><valuation>{}{}</valuation></group></project></vnml>",
                "<a>".repeat(inner),
                "</a>".repeat(inner)
            ))
        };
        checked_in_place(nested(MAX_DEPTH)).unwrap();
        assert!(refused(&nested(MAX_DEPTH + 1)).contains("deeper than 128"));
    }
}
