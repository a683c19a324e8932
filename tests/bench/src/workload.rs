//! The workloads: kinds of submitted requests.

use std::fmt::Write as _;

/// A kind of request.
pub struct Workload {
    pub name: &'static str,
    pub groups: usize,
    pub tasks: usize,
    /// The approximate size of a task document, in bytes.
    pub task_bytes: usize,
    /// Whether the bytes are in each valuation, rather than once in the document.
    pub each: bool,
    /// How many callers make full load.
    pub callers: usize,
}

impl Workload {
    pub fn all() -> [Self; 4] {
        let small = Self {
            name: "W1",
            groups: 2,
            tasks: 1,
            task_bytes: 2_000,
            each: false,
            callers: 64,
        };
        [
            Self { ..small },
            Self {
                name: "W2",
                groups: 3,
                tasks: 10,
                ..small
            },
            Self {
                name: "W3",
                groups: 1,
                tasks: 10_000,
                callers: 1,
                ..small
            },
            Self {
                name: "W4",
                groups: 1,
                tasks: 1_000,
                task_bytes: 10_400,
                each: true,
                callers: 1,
            },
        ]
    }

    /// Whether its requests are so large that they are only measured one by one.
    pub fn is_big(&self) -> bool {
        self.callers == 1
    }

    pub fn tasks_in_all(&self) -> usize {
        self.groups * self.tasks
    }

    pub fn document(&self) -> String {
        let filler = "x".repeat(self.task_bytes - 300);
        let (shared, own) = if self.each {
            ("", filler.as_str())
        } else {
            (filler.as_str(), "")
        };
        let valuation = format!(
            "<valuation name=\"v\"><market select=\"/vnml/project/market[1]\"/><analytics><price>\
             <amount/></price></analytics><text>{own}</text></valuation>"
        );
        let group = format!("<group name=\"g\">{}</group>", valuation.repeat(self.tasks));
        format!(
            "<vnml><project><market name=\"m\"><rate>0.03</rate></market><notes>{shared}</notes>{}\
             </project></vnml>",
            group.repeat(self.groups)
        )
    }

    /// The only right response.
    pub fn response(&self) -> String {
        let filler = "x".repeat(self.task_bytes - 300);
        let shared = if self.each { "" } else { filler.as_str() };
        let mut groups = String::new();
        for group in 0..self.groups {
            groups.push_str("<group name=\"g\">");
            for task in 1..=self.tasks {
                // Writing to a String cannot fail.
                let _ = write!(
                    groups,
                    "<valuation name=\"noop\"><analytics><price><amount>{}.00</amount></price>\
                     </analytics><note>no work was done</note><vndb externalId=\"{task}\"/>\
                     </valuation>",
                    (group + 1) * 100 + task
                );
            }
            groups.push_str("</group>");
        }
        format!("<vnml><project><notes>{shared}</notes>{groups}</project></vnml>")
    }
}
