/// The bounds on documents and on the work they may cause. See `vnml.md`, sections 1 and 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a document.
    pub max_bytes: usize,
    /// The most bytes of a worker's reply.
    pub max_result_bytes: usize,
    /// The deepest nesting of elements.
    pub max_depth: usize,
    /// The most nodes: elements, attributes, texts, comments and instructions.
    pub max_nodes: usize,
    /// The most attributes of one element.
    pub max_attributes: usize,
    /// The longest name, in bytes.
    pub max_name_bytes: usize,
    /// The most namespace declarations in scope at one place.
    pub max_namespaces: usize,
    /// The most nodes one expression may visit.
    pub max_visits: u64,
    /// The most elements that the hydration of one element may make.
    pub max_made: u64,
    /// The most bytes that one hydrated element, or one task document, may have.
    pub max_hydrated_bytes: usize,
    /// The most bytes of task documents that a dry run makes of a group; it says no more of the
    /// groups after one that has more.
    pub max_previewed_bytes: usize,
    /// The most bytes of a document's text and of all results that are put into it, and of the
    /// response: what is larger could be stored and not be read again.
    pub max_assembled_bytes: usize,
    /// The most other documents that one document may refer to.
    pub max_references: usize,
    /// The longest chain of references.
    pub max_chain: usize,
    /// The most tasks of a group.
    pub max_tasks: usize,
}

impl Limits {
    /// Those for a document that was accepted: how large it may be was for whoever accepted it
    /// to say.
    #[must_use]
    pub fn accepted() -> Self {
        Self {
            max_bytes: usize::MAX,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 10 * 1024 * 1024,
            max_result_bytes: 10 * 1024 * 1024,
            max_depth: 128,
            max_nodes: 2_000_000,
            max_attributes: 10_000,
            max_name_bytes: 1_024,
            max_namespaces: 128,
            max_visits: 5_000_000,
            max_made: 1_000_000,
            max_hydrated_bytes: 64 * 1024 * 1024,
            max_previewed_bytes: 128 * 1024 * 1024,
            max_assembled_bytes: 256 * 1024 * 1024,
            max_references: 1_000,
            max_chain: 64,
            max_tasks: 1_000_000,
        }
    }
}
