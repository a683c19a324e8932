//! The budget of one document: the limits on all work to hydrate it, over every expression, group
//! and task. The code charges work before it does the work.

use std::cell::Cell;
use std::fmt;

use super::limits::Limits;

/// The work that a document has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub visits: u64,
    pub text_bytes: u64,
    pub made: u64,
    pub references: u64,
    pub task_bytes: u64,
}

/// A limit that a document exceeded, with the value of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Visits(u64),
    TextBytes(u64),
    ValueBytes(u64),
    Made(u64),
    MadeBytes(u64),
    References(u64),
    TaskBytes(u64),
    HydratedBytes(u64),
    Depth(u64),
    Attributes(u64),
    Namespaces(u64),
    /// The work exceeds what the caller allows.
    Allowed,
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Visits(limit) => {
                write!(
                    f,
                    "the document's expressions visit more than {limit} nodes (max-visits)"
                )
            }
            Self::TextBytes(limit) => write!(
                f,
                "the document's expressions read more than {limit} bytes of text (max-text-bytes)"
            ),
            Self::ValueBytes(limit) => write!(
                f,
                "the expression makes more than {limit} bytes of text (max-value-bytes)"
            ),
            Self::Made(limit) => write!(
                f,
                "hydrating the document makes more than {limit} nodes and attributes (max-made)"
            ),
            Self::MadeBytes(limit) => write!(
                f,
                "hydrating the element takes more than {limit} bytes of memory (max-made-bytes)"
            ),
            Self::References(limit) => write!(
                f,
                "the document's tasks resolve more than {limit} references (max-resolved)"
            ),
            Self::TaskBytes(limit) => write!(
                f,
                "the document's task documents have more than {limit} bytes together \
                 (max-task-bytes)"
            ),
            Self::HydratedBytes(limit) => {
                write!(f, "it has more than {limit} bytes (max-hydrated-bytes)")
            }
            Self::Depth(limit) => write!(f, "it is nested deeper than {limit} (max-depth)"),
            Self::Attributes(limit) => {
                write!(f, "it has more than {limit} attributes (max-attributes)")
            }
            Self::Namespaces(limit) => write!(
                f,
                "it has more than {limit} namespaces in scope (max-namespaces)"
            ),
            Self::Allowed => f.write_str("it takes more work than the caller allows"),
        }
    }
}

/// The most work that counts as short: about a third of a millisecond of processor time.
pub(crate) const SHORT_WORK: u64 = 12_000;
/// The most work that counts as medium: about 20 ms of processor time.
pub(crate) const MEDIUM_WORK: u64 = 800_000;
/// How many bytes of text, read or written, cost as much as one visit.
const BYTES_A_VISIT: u64 = 64;

/// Counts the work of one hydrator against the remaining budget of its document.
#[derive(Debug)]
pub(crate) struct Meter {
    pub limits: Limits,
    spent: Cell<Spent>,
    /// The memory of the element that is being hydrated, in bytes.
    held: Cell<u64>,
    /// The text that the current expression has made, in bytes.
    value: Cell<u64>,
    /// How much more work the caller allows; `None` for no limit.
    allowed: Cell<Option<u64>>,
}

impl Meter {
    pub fn new(limits: &Limits, spent: Spent) -> Self {
        Self {
            limits: *limits,
            spent: Cell::new(spent),
            held: Cell::new(0),
            value: Cell::new(0),
            allowed: Cell::new(None),
        }
    }

    /// A meter that gives up with [`Over::Allowed`] when the work exceeds this amount.
    pub fn allowing(work: u64, limits: &Limits, spent: Spent) -> Self {
        let meter = Self::new(limits, spent);
        meter.allowed.set(Some(work));
        meter
    }

    pub fn spent(&self) -> Spent {
        self.spent.get()
    }

    /// Starts from zero, to count repeated work separately. Returns the previous amount, for
    /// [`Self::settle`].
    pub fn begin_again(&self) -> Spent {
        self.spent.replace(Spent::default())
    }

    /// Continues from an earlier amount.
    pub fn settle(&self, spent: Spent) {
        self.spent.set(spent);
    }

    fn use_up(&self, work: u64) -> Result<(), Over> {
        let Some(left) = self.allowed.get() else {
            return Ok(());
        };
        let left = left.checked_sub(work).ok_or(Over::Allowed)?;
        self.allowed.set(Some(left));
        Ok(())
    }

    /// Charges a visit to this many nodes.
    #[inline]
    pub fn visit(&self, nodes: usize) -> Result<(), Over> {
        let mut spent = self.spent.get();
        spent.visits += nodes as u64;
        self.spent.set(spent);
        if spent.visits > self.limits.max_visits {
            return Err(Over::Visits(self.limits.max_visits));
        }
        self.use_up(nodes as u64)
    }

    /// Charges this many bytes of text that are read.
    pub fn read(&self, bytes: usize) -> Result<(), Over> {
        let mut spent = self.spent.get();
        spent.text_bytes += bytes as u64;
        self.spent.set(spent);
        if spent.text_bytes > self.limits.max_text_bytes {
            return Err(Over::TextBytes(self.limits.max_text_bytes));
        }
        self.use_up(bytes as u64 / BYTES_A_VISIT)
    }

    /// Charges this many bytes of text that an expression is about to make.
    pub fn make_text(&self, bytes: usize) -> Result<(), Over> {
        let value = self.value.get() + bytes as u64;
        self.value.set(value);
        if value > self.limits.max_value_bytes {
            return Err(Over::ValueBytes(self.limits.max_value_bytes));
        }
        self.read(bytes)
    }

    /// Starts the text count of the next expression.
    pub fn next_value(&self) {
        self.value.set(0);
    }

    /// Charges this many new nodes and attributes, and their memory.
    pub fn make(&self, nodes: usize, bytes: usize) -> Result<(), Over> {
        let mut spent = self.spent.get();
        spent.made += nodes as u64;
        self.spent.set(spent);
        if spent.made > self.limits.max_made {
            return Err(Over::Made(self.limits.max_made));
        }
        let held = self.held.get() + bytes as u64;
        self.held.set(held);
        if held > self.limits.max_made_bytes {
            return Err(Over::MadeBytes(self.limits.max_made_bytes));
        }
        self.use_up(2 * nodes as u64)
    }

    /// Starts the memory count of the next element.
    pub fn next_element(&self) {
        self.held.set(0);
    }

    /// Charges the resolution of one reference.
    pub fn resolve(&self) -> Result<(), Over> {
        let mut spent = self.spent.get();
        spent.references += 1;
        self.spent.set(spent);
        if spent.references > self.limits.max_resolved {
            return Err(Over::References(self.limits.max_resolved));
        }
        self.use_up(16)
    }

    /// Charges a task document of this many bytes.
    pub fn task(&self, bytes: usize) -> Result<(), Over> {
        let mut spent = self.spent.get();
        spent.task_bytes += bytes as u64;
        self.spent.set(spent);
        self.check_task_bytes(spent.task_bytes)?;
        self.use_up(bytes as u64 / BYTES_A_VISIT)
    }

    /// Fails if the document may not have this many more bytes of task documents.
    pub fn has_room_for_tasks(&self, bytes: u64) -> Result<(), Over> {
        self.check_task_bytes(self.spent.get().task_bytes.saturating_add(bytes))
    }

    fn check_task_bytes(&self, bytes: u64) -> Result<(), Over> {
        if bytes > self.limits.max_task_bytes {
            return Err(Over::TaskBytes(self.limits.max_task_bytes));
        }
        Ok(())
    }
}
