//! Valuations that expand to many tasks.

use crate::{Kind, each, grouped, project};

pub const KINDS: &[Kind] = &[
    Kind::new(
        "use-of-visits",
        "2,000 parents, with an expression of 5 million visits for the children of each (X5).",
        || {
            let test = vec!["count(//x[.])&gt;=0"; 30].join(" and ");
            let valuation = format!("<valuation use='vn:link(//x, //m[{test}])'/>");
            grouped(&format!("<m/>{}", "<x/>".repeat(2_000)), &valuation)
        },
    ),
    Kind::new(
        "use-of-translate",
        "2,000 characters, each looked for among 4,000, while the call is answered (V5).",
        || {
            let sought = "abcdefgh".repeat(500);
            let valuation = format!(
                "<valuation name='v' use=\"vn:link(/vnml/project/x[translate(.,'{sought}','')=''], p)\"/>"
            );
            let definitions = format!("<x>{}</x>{}", "t".repeat(2_000), "<x/>".repeat(2_000));
            grouped(&definitions, &valuation)
        },
    ),
    Kind::new(
        "use-of-large-frames",
        "1,000 tasks of one valuation, each with 1 MB around it (V6).",
        || {
            grouped(
                &format!(
                    "<note>{}</note><x>{}</x>",
                    "n".repeat(1_000_000),
                    "<p/>".repeat(1_000)
                ),
                "<valuation name='v' use='vn:link(/vnml/project/x, p)'/>",
            )
        },
    ),
    Kind::new(
        "use-of-product",
        "1,000 parents with 1,000 children each: a million tasks of one valuation.",
        || {
            grouped(
                &format!("<x>{}</x>", "<p/>".repeat(1_000)).repeat(1_000),
                "<valuation use='vn:link(/vnml/project/x, p)'/>",
            )
        },
    ),
    Kind::new(
        "use-twice-over",
        "1,000 parents and, by an absolute path, the same 1,001 children for each.",
        || {
            grouped(
                &format!("{}<y>{}</y>", "<x/>".repeat(1_000), "<p/>".repeat(1_001)),
                "<valuation use='vn:link(/vnml/project/x, /vnml/project/y/p)'/>",
            )
        },
    ),
    Kind::new(
        "many-uses",
        "2,000 valuations, each with 2,000 tasks: four million.",
        || {
            grouped(
                &format!("<x>{}</x>", "<p/>".repeat(2_000)),
                &"<valuation use='vn:link(/vnml/project/x, p)'/>".repeat(2_000),
            )
        },
    ),
    Kind::new(
        "use-over-use",
        "Each group makes ten tasks of every result of the group before, through seven groups.",
        || {
            let children = "<p/>".repeat(10);
            let first = format!("<group><valuation name='echo'>{children}</valuation></group>");
            let later = each(6, |n| {
                format!(
                    "<group><valuation name='echo' use='vn:link(/vnml/project/group[{}]/valuation, p)'>\
                 {children}</valuation></group>",
                    n + 1
                )
            });
            project("", &format!("{first}{later}"))
        },
    ),
    Kind::new(
        "use-with-long-arguments",
        "A `use` of 2 MB of commas in brackets and quotes, for whoever looks for the last one outside.",
        || {
            grouped(
                "<m/>",
                &format!(
                    "<valuation use=\"vn:link({}//m[.=',' or .='{}'], p)\"/>",
                    "(".repeat(60),
                    ",".repeat(2_000_000)
                ),
            )
        },
    ),
];
