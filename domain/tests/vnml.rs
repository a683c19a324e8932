//! `docs/vnml.md` matches the code: its examples give the stated results, and its table of limits
//! lists the defaults.

#![allow(clippy::unwrap_used, clippy::panic)] // A broken page must stop the test.

use domain::document::{CapturedResources, Document, Effort, Limits, canonicalize};
use domain::request::TaskNumber;

const PAGE: &str = include_str!("../../docs/vnml.md");

fn blocks(text: &str) -> Vec<&str> {
    let after = text.split("```xml\n").skip(1);
    after
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

/// The canonical form without comments, because comments do not matter in a comparison.
fn compared(xml: &str) -> String {
    let mut plain = String::new();
    let mut rest = xml;
    while let Some((before, after)) = rest.split_once("<!--") {
        plain.push_str(before);
        rest = after.split_once("-->").unwrap().1;
    }
    plain.push_str(rest);
    canonicalize(plain.as_bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{e}: {xml}"))
}

#[test]
fn every_example_gives_its_stated_result() {
    let mut run = 0;
    for example in PAGE.split("<!-- example: ").skip(1) {
        let (what, rest) = example.split_once(" -->").unwrap();
        let (input, expected) = rest.split_once("<!-- gives -->").unwrap();
        let input = blocks(input)[0];
        let document = Document::accept(input.as_bytes(), &Limits::default()).unwrap();
        let resources = CapturedResources::default();
        let given: Vec<String> = match what.split_once(' ').unwrap() {
            ("hydrate", target) => vec![document.hydrate(&resources, target).unwrap()],
            ("tasks", group) => {
                let group = group.parse().unwrap();
                let made = document.tasks(
                    &resources,
                    group,
                    TaskNumber::up_to(9),
                    usize::MAX,
                    Effort::Whole,
                );
                let texts = made.unwrap().into_iter();
                texts
                    .map(|task| String::from_utf8(task.xml).unwrap())
                    .collect()
            }
            other => panic!("{other:?}"),
        };
        let until = expected.split("\n#").next().unwrap();
        let expected: Vec<String> = blocks(until)
            .into_iter()
            .take(given.len())
            .map(compared)
            .collect();
        let given: Vec<String> = given.iter().map(|text| compared(text)).collect();
        assert_eq!(given, expected, "{input}");
        run += 1;
    }
    assert_eq!(run, 5, "an example was lost");
    let first = blocks(PAGE)[0];
    assert!(Document::accept(first.as_bytes(), &Limits::default()).is_ok());
}

#[test]
fn the_table_of_limits_has_every_limit_with_its_default() {
    let limits = format!("{:#?}", Limits::default());
    let fields = limits.lines().filter_map(|line| {
        let (name, value) = line.trim().trim_end_matches(',').split_once(": ")?;
        Some((name.replace('_', "-"), value.to_owned()))
    });
    let mut fields: Vec<(String, String)> = fields.collect();
    let rows = PAGE.lines().filter(|line| line.starts_with("| `max-"));
    let mut rows: Vec<(String, String)> = rows
        .map(|row| {
            let mut cells = row.split('|').skip(1).map(str::trim);
            let name = cells.next().unwrap().trim_matches('`').to_owned();
            (name, cells.next().unwrap().replace(',', ""))
        })
        .collect();
    fields.sort();
    rows.sort();
    assert_eq!(rows, fields);
}
