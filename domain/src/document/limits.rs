/// The bounds on documents and on the work that they may cause. `docs/vnml.md`, section 6, has them as a
/// table. Whatever counts work counts it for the whole document: over all its expressions,
/// groups and tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a document.
    pub max_bytes: usize,
    /// The most bytes of a worker's reply.
    pub max_result_bytes: usize,
    /// The deepest nesting of elements, of documents and of what hydration makes.
    pub max_depth: usize,
    /// The most nodes: elements, attributes, texts, comments and instructions.
    pub max_nodes: usize,
    /// The most attributes of one element.
    pub max_attributes: usize,
    /// The longest name of an element or attribute, in bytes.
    pub max_name_bytes: usize,
    /// The most namespace declarations in scope at one place.
    pub max_namespaces: usize,
    /// The most groups.
    pub max_groups: usize,
    /// The longest `name` of a group or a valuation, in bytes.
    pub max_label_bytes: usize,
    /// The most bytes of all groups' names together.
    pub max_labels_bytes: usize,
    /// The longest URI of an `href`, in bytes.
    pub max_uri_bytes: usize,
    /// The most nodes that the document's expressions may visit.
    pub max_visits: u64,
    /// The most bytes of text that the document's expressions may read and make.
    pub max_text_bytes: u64,
    /// The most bytes of text that one evaluation of an expression may make.
    pub max_value_bytes: u64,
    /// The most nodes and attributes that hydration may make, over all tasks.
    pub max_made: u64,
    /// The most bytes of memory that one hydrated element may take.
    pub max_made_bytes: u64,
    /// The most references that may be resolved, over all tasks.
    pub max_resolved: u64,
    /// The most bytes that one hydrated element, or one task document, may have.
    pub max_hydrated_bytes: usize,
    /// The most bytes of all task documents together.
    pub max_task_bytes: u64,
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
    /// The most tasks, of all groups together.
    pub max_tasks: usize,
}

impl Limits {
    /// Those for a document that was accepted, and for the results that were: how large they may
    /// be was for whoever accepted them to say.
    #[must_use]
    pub fn accepted() -> Self {
        Self {
            max_bytes: usize::MAX,
            max_result_bytes: usize::MAX,
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
            max_namespaces: 256,
            max_groups: 10_000,
            max_label_bytes: 256,
            max_labels_bytes: 256 * 1024,
            max_uri_bytes: 2 * 1024,
            max_visits: 30_000_000,
            max_text_bytes: 256 * 1024 * 1024,
            max_value_bytes: 24 * 1024 * 1024,
            max_made: 10_000_000,
            max_made_bytes: 24 * 1024 * 1024,
            max_resolved: 1_000_000,
            max_hydrated_bytes: 32 * 1024 * 1024,
            max_task_bytes: 512 * 1024 * 1024,
            max_previewed_bytes: 32 * 1024 * 1024,
            max_assembled_bytes: 256 * 1024 * 1024,
            max_references: 1_000,
            max_chain: 64,
            max_tasks: 1_000_000,
        }
    }
}
