//! What the callers know: a line for each request in `ledger.jsonl`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use serde::Serialize;

use crate::documents::{Order, Plan};

/// A try to submit, and its answer.
#[derive(Debug, Serialize)]
pub struct Try {
    pub at: f64,
    pub api: usize,
    pub answer: String,
    pub seconds: f64,
    /// Whether the caller cannot know if this try was stored.
    pub perhaps_stored: bool,
}

/// Something that must not be.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The check that it breaks.
    pub check: &'static str,
    /// The request, or what else it is about.
    pub about: String,
    pub text: String,
}

/// The life of one request as its caller saw it.
#[derive(Debug, Serialize)]
pub struct Record {
    pub name: String,
    pub plan: Plan,
    pub tasks: usize,
    pub keyed: bool,
    pub sync: bool,
    pub began: f64,
    pub tries: Vec<Try>,
    pub id: Option<String>,
    pub accepted: Option<f64>,
    pub end: Option<String>,
    pub ended: Option<f64>,
    /// The answers to all reads, counted.
    pub reads: BTreeMap<String, usize>,
    pub findings: Vec<Finding>,
}

impl Record {
    pub fn new(order: &Order, began: f64) -> Self {
        Self {
            name: order.name.clone(),
            plan: order.plan,
            tasks: order.size(),
            keyed: order.keyed,
            sync: order.sync,
            began,
            tries: Vec::new(),
            id: None,
            accepted: None,
            end: None,
            ended: None,
            reads: BTreeMap::new(),
            findings: Vec::new(),
        }
    }

    pub fn found(&mut self, check: &'static str, text: String) {
        let id = self.id.as_deref().unwrap_or("no id");
        let about = format!("{} {id}", self.name);
        self.findings.push(Finding { check, about, text });
    }

    /// How many tries may have been stored without an answer that says so.
    pub fn perhaps_stored(&self) -> usize {
        let tries = self.tries.iter();
        tries.filter(|one| one.perhaps_stored).count()
    }
}

/// The records of all requests.
pub struct Ledger {
    file: Mutex<File>,
    records: Mutex<Vec<Record>>,
}

impl Ledger {
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            file: Mutex::new(File::create(folder.join("ledger.jsonl"))?),
            records: Mutex::default(),
        })
    }

    pub fn keep(&self, record: Record) {
        let line = serde_json::to_string(&record).unwrap();
        // A full disk must not end the run.
        let _ = writeln!(self.file.lock().unwrap(), "{line}");
        self.records.lock().unwrap().push(record);
    }

    pub fn into_records(self) -> Vec<Record> {
        let mut records = self.records.into_inner().unwrap();
        records.sort_by(|a, b| a.began.total_cmp(&b.began));
        records
    }
}
