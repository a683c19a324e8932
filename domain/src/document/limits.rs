/// The limits on documents and on the work that they may cause. `docs/vnml.md`, section 6, has them
/// as a table. Limits on work hold for the whole document: over all its expressions, groups and
/// tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum size of a document, in bytes.
    pub max_bytes: usize,
    /// The maximum size of a worker's reply, in bytes.
    pub max_result_bytes: usize,
    /// The deepest nesting of elements, in documents and in the output of hydration.
    pub max_depth: usize,
    /// The maximum number of nodes: elements, attributes, texts, comments and instructions.
    pub max_nodes: usize,
    /// The maximum number of attributes of one element.
    pub max_attributes: usize,
    /// The longest name of an element or attribute, in bytes.
    pub max_name_bytes: usize,
    /// The maximum number of namespace declarations in scope at one position.
    pub max_namespaces: usize,
    /// The maximum number of groups.
    pub max_groups: usize,
    /// The longest `name` of a group or a valuation, in bytes.
    pub max_label_bytes: usize,
    /// The maximum size of all group names together, in bytes.
    pub max_labels_bytes: usize,
    /// The longest URI of an `href`, in bytes.
    pub max_uri_bytes: usize,
    /// The maximum number of nodes that the document's expressions may visit.
    pub max_visits: u64,
    /// The maximum size of the text that the document's expressions may read and make, in bytes.
    pub max_text_bytes: u64,
    /// The maximum size of the text that one evaluation of an expression may make, in bytes.
    pub max_value_bytes: u64,
    /// The maximum number of nodes and attributes that hydration may make, over all tasks.
    pub max_made: u64,
    /// The maximum memory of one hydrated element, in bytes.
    pub max_made_bytes: u64,
    /// The maximum number of references that may be resolved, over all tasks.
    pub max_resolved: u64,
    /// The maximum size of one hydrated element, or of one task document, in bytes.
    pub max_hydrated_bytes: usize,
    /// The maximum size of all task documents together, in bytes.
    pub max_task_bytes: u64,
    /// The maximum size of the task documents that a dry run makes of one group, in bytes. After a
    /// group that exceeds it, the dry run says no more about later groups.
    pub max_previewed_bytes: usize,
    /// The maximum size of the response, and of a document's text with all results in it, in bytes.
    /// A larger one could be stored, but not read again.
    pub max_assembled_bytes: usize,
    /// The maximum number of other documents that one document may refer to.
    pub max_references: usize,
    /// The longest chain of references.
    pub max_chain: usize,
    /// The maximum number of tasks, over all groups.
    pub max_tasks: usize,
}

impl Limits {
    /// The limits for documents and results that were already accepted. The code that accepted them
    /// has checked their size.
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
