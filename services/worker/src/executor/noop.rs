use bytes::Bytes;

use super::Task;

/// A valuation of some 200 bytes that says only which task it is of.
pub(super) fn result(task: &Task) -> Bytes {
    let Task { group, task, .. } = task;
    format!(
        "<vnml><project><group><valuation name=\"noop\"><analytics><price><amount>{}.00</amount>\
         </price></analytics><note>no work was done</note><vndb externalId=\"{task}\"/>\
         </valuation></group></project></vnml>",
        (group.get() + 1) * 100 + task.get()
    )
    .into()
}
