//! Hydration compared with an independent evaluator, written from sections 4.2 to 4.5 of
//! `docs/vnml.md` and from nothing else.
//!
//! `ORACLE_DOCUMENTS` sets the number of documents, and `ORACLE_SEED` chooses them.

#![allow(clippy::unwrap_used, clippy::panic)] // A broken case must stop the test.

mod chance;
mod evaluate;
mod made;
mod path;
mod tree;
mod write;

use domain::request::TaskNumber;
use std::collections::BTreeMap;

use chance::Chance;
use domain::document::{CapturedResources, Document, Effort, Limits};
use evaluate::Outcome;
use made::Made;
use tree::Tree;

const DOCUMENTS: u64 = 2_000;
const SEED: u64 = 22;
/// How many disagreements are shown.
const SHOWN: usize = 5;

fn number(variable: &str, default: u64) -> u64 {
    // A test may read the environment; the domain may not.
    #[expect(clippy::disallowed_methods)]
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| value.parse().unwrap())
}

/// The hydrated part of a document.
#[derive(Clone, Copy, Debug)]
enum Target {
    Whole,
    Valuations,
    /// The tasks of a group, by the index of the group among the groups and in the tree.
    Tasks(usize, usize),
}

fn targets(tree: &Tree) -> Vec<Target> {
    let groups = (0..tree.0.len()).filter(|at| tree.is(*at, "group"));
    let tasks = groups.enumerate().map(|(n, at)| Target::Tasks(n, at));
    [Target::Whole, Target::Valuations]
        .into_iter()
        .chain(tasks)
        .collect()
}

/// The result of the engine in its form for comparisons, or the code of its error.
fn given(document: &Document, target: Target) -> Result<Vec<String>, &'static str> {
    let resources = CapturedResources::default();
    let form = |tree: &Tree, at: usize| Made::given(tree, at).form();
    let hydrated = match target {
        Target::Whole => document.hydrate(&resources, "/"),
        Target::Valuations => document.hydrate(&resources, "//valuation"),
        Target::Tasks(group, _) => {
            let made = document.tasks(
                &resources,
                group,
                TaskNumber::up_to(99),
                usize::MAX,
                Effort::Whole,
            );
            let made = made.map_err(|error| error.code().as_str())?.into_iter();
            let forms = made.map(|task| {
                let tree = Tree::of(std::str::from_utf8(&task.xml).unwrap());
                let last = |at: usize| *tree.children(at).last().unwrap();
                form(&tree, last(last(last(0))))
            });
            return Ok(forms.collect());
        }
    };
    let tree = Tree::of(&hydrated.map_err(|error| error.code().as_str())?);
    Ok(match target {
        Target::Whole => vec![form(&tree, 0)],
        _ => tree
            .children(0)
            .into_iter()
            .map(|at| form(&tree, at))
            .collect(),
    })
}

/// The outcome of a target, or both results if they disagree.
fn agreed(document: &Document, tree: &Tree, target: Target) -> Result<&'static str, String> {
    let expected = match target {
        Target::Whole => evaluate::whole(tree),
        Target::Valuations => evaluate::valuations(tree),
        Target::Tasks(_, group) => evaluate::tasks(tree, group),
    };
    let given = given(document, target);
    match (expected, given) {
        (Outcome::TooLarge, _) => Ok("too large"),
        (Outcome::Made(made), Ok(given)) => {
            let mut made = made;
            if let Target::Tasks(..) = target {
                (1..).zip(&mut made).for_each(|(n, made)| made.number(n));
            }
            let expected: Vec<String> = made.iter().map(Made::form).collect();
            if expected == given {
                return Ok("made");
            }
            let (ours, theirs) = (expected.join("\n    "), given.join("\n    "));
            Err(format!("oracle\n    {ours}\n  engine\n    {theirs}"))
        }
        (Outcome::Wrong(codes), Err(code)) if codes.contains(code) => Ok(code),
        (Outcome::Wrong(codes), given) => Err(format!("oracle {codes:?}\n  engine {given:?}")),
        (Outcome::Made(made), Err(code)) => {
            let expected: Vec<String> = made.iter().map(Made::form).collect();
            Err(format!(
                "oracle\n    {}\n  engine {code}",
                expected.join("\n    ")
            ))
        }
    }
}

#[test]
fn an_independent_evaluator_agrees_on_generated_documents() {
    let (documents, seed) = (
        number("ORACLE_DOCUMENTS", DOCUMENTS),
        number("ORACLE_SEED", SEED),
    );
    let (mut ends, mut wrong) = (BTreeMap::<&str, u64>::new(), Vec::new());
    for number in 0..documents {
        let xml = write::document(&mut Chance::of(seed, number));
        let tree = Tree::of(&xml);
        let document = Document::accept(xml.as_bytes(), &Limits::default()).unwrap();
        for target in targets(&tree) {
            match agreed(&document, &tree, target) {
                Ok(end) => *ends.entry(end).or_default() += 1,
                Err(told) => wrong.push(format!("document {number}, {target:?}: {xml}\n  {told}")),
            }
        }
    }
    println!(
        "seed {seed}, {documents} documents, each whole, by valuations and by tasks: {ends:?}"
    );
    wrong.sort_by_key(String::len);
    let (count, shown) = (wrong.len(), &wrong[..wrong.len().min(SHOWN)]);
    assert!(
        wrong.is_empty(),
        "seed {seed}: {count} disagreements\n{}",
        shown.join("\n")
    );
    let made = ends.get("made").copied().unwrap_or_default();
    assert!(
        made * 3 > documents,
        "too few documents can be hydrated: {ends:?}"
    );
}
