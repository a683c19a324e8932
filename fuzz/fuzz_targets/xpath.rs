//! Any expression, compiled and evaluated where documents have expressions: in `select`, in an
//! attribute value and in `use`. It is refused or has a value, and never panics.
#![no_main]

use domain::document::Limits;
use fanfold_fuzz::{escaped, run};
use libfuzzer_sys::fuzz_target;

/// A document with some of everything that an expression may meet.
const DEFINITIONS: &str = "<market name='a' id='1'><rate>0.05</rate><!--c--><?p d?></market>\
    <market name='b' xml:lang='en'><rate>1e3</rate> text </market><q:x xmlns:q='urn:q' q:a='1'/>\
    <p><c>1</c><c>2</c><c/></p>";

fuzz_target!(|expression: &str| {
    let expression = escaped(expression);
    let limits = Limits {
        max_visits: 20_000,
        ..Limits::default()
    };
    for valuation in [
        format!("<valuation><m select=\"{expression}\"/></valuation>"),
        format!("<valuation><m a=\"${{select({expression})}}\"/></valuation>"),
        format!("<valuation use=\"vn:link({expression}, c)\"/>"),
        format!(
            "<valuation use=\"vn:link(/vnml/project/p, c)\"><m select=\"{expression}\"/></valuation>"
        ),
    ] {
        let document =
            format!("<vnml><project>{DEFINITIONS}<group>{valuation}</group></project></vnml>");
        run::through(document.as_bytes(), &limits);
    }
});
