//! Many groups, many tasks, and results that grow.

use crate::{Kind, each, grouped, project};

pub const KINDS: &[Kind] = &[
    Kind::new(
        "empty-groups",
        "100,000 groups without a valuation: an event of 1.7 MB (V3).",
        || project("", &"<group/>".repeat(100_000)),
    ),
    Kind::new(
        "most-empty-groups",
        "600,000 groups without a valuation.",
        || project("", &"<group/>".repeat(600_000)),
    ),
    Kind::new(
        "accepted-empty-groups",
        "9,999 groups without a valuation, which is within the contract.",
        || project("", &"<group/>".repeat(9_999)),
    ),
    Kind::new(
        "long-group-name",
        "A group with a name of 1.2 MB (V3).",
        || project("", &format!("<group name='{}'/>", "n".repeat(1_200_000))),
    ),
    Kind::new(
        "long-valuation-name",
        "A valuation with a name of 1.2 MB, which no worker's type is matched with in no time.",
        || {
            grouped(
                "",
                &format!("<valuation name='{}'/>", "n".repeat(1_200_000)),
            )
        },
    ),
    Kind::new(
        "accepted-group-names",
        "9,999 groups with names of 256 bytes: 2.5 MB of names, which is within the contract.",
        || project("", &each(9_999, |n| format!("<group name='{n:0>256}'/>"))),
    ),
    Kind::new(
        "groups-with-tasks",
        "9,999 groups of one task each, one after the other.",
        || project("", &"<group><valuation/></group>".repeat(9_999)),
    ),
    Kind::new("tasks", "300,000 valuations in one group.", || {
        grouped("", &"<valuation/>".repeat(300_000))
    }),
    Kind::new(
        "most-tasks",
        "849,000 valuations in one group: all that 10 MiB hold.",
        || grouped("", &"<valuation/>".repeat(849_000)),
    ),
    Kind::new(
        "failing-tasks",
        "9,000 tasks, all of which fail: a failure that names them all.",
        || grouped("", &"<valuation name='fail'/>".repeat(9_000)),
    ),
    Kind::new(
        "growing-results",
        "24 groups, each with the result of the one before twice in its own: 2 to the 24th.",
        || growing(24, "<valuation name='echo'><s>seed</s></valuation>"),
    ),
    Kind::new(
        "growing-large-results",
        "The same, beginning with 1 MB.",
        || {
            growing(
                12,
                &format!(
                    "<valuation name='echo'><s>{}</s></valuation>",
                    "s".repeat(1_000_000)
                ),
            )
        },
    ),
    Kind::new(
        "results-looked-through",
        "300 groups, each of which looks through all results of those before.",
        || {
            project(
                "",
                &each(300, |n| {
                    format!(
                        "<group><valuation name='echo'><p>{n}</p></valuation>\
             <valuation name='echo' a='${{select(/vnml/project/group[1]/valuation[1][count(//valuation[count(//valuation)&gt;0])&gt;0]/p/text())}}'/></group>"
                    )
                }),
            )
        },
    ),
];

/// Groups that each take the result of the previous one twice.
fn growing(groups: usize, first: &str) -> Vec<u8> {
    let later = each(groups - 1, |n| {
        let at = format!("/vnml/project/group[{}]/valuation", n + 1);
        format!(
            "<group><valuation name='echo'><a select='{at}'/><b select='{at}'/></valuation></group>"
        )
    });
    project("", &format!("<group>{first}</group>{later}"))
}
