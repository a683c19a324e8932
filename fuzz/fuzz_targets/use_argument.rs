//! Any `use`: it is no link, an error, or gives as many tasks as it says.
#![no_main]

use domain::document::{CapturedResources, Document, Effort, Limits};
use domain::request::TaskNumber;
use fanfold_fuzz::escaped;
use libfuzzer_sys::fuzz_target;

const DEFINITIONS: &str = "<p name='a,b'><c>1</c><c n='(2'/></p><p><c/></p>";

fuzz_target!(|link: &str| {
    let link = escaped(link);
    let limits = Limits {
        max_visits: 20_000,
        max_tasks: 1_000,
        ..Limits::default()
    };
    // The text itself, and the text as the arguments of a link.
    for link in [link.clone(), format!("vn:link({link})")] {
        let document = format!(
            "<vnml><project>{DEFINITIONS}<group><valuation use=\"{link}\"/></group></project></vnml>"
        );
        let Ok(document) = Document::accept(document.as_bytes(), &limits) else {
            return;
        };
        let resources = CapturedResources::default();
        let Ok(count) = document.count_tasks(&resources, 0, Effort::Whole) else {
            continue;
        };
        assert!(count <= limits.max_tasks);
        let all = TaskNumber::up_to(u32::try_from(count).expect("it is small"));
        if let Ok(tasks) = document.tasks(&resources, 0, all, usize::MAX, Effort::Whole) {
            assert_eq!(tasks.len(), count, "as many as were counted");
        }
    }
});
