//! Tests that the commands in the documentation are commands of this program.

use std::path::{Path, PathBuf};

use clap::Command;
use runtime::{Aws, Definition, Settings};

use crate::command_line::definition;

/// The Markdown files of the repository's root and of `docs/`.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    let mut folders = vec![root.join("docs"), root.join("examples")];
    let mut look = |folder: &Path, folders: &mut Vec<PathBuf>, deep: bool| {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            } else if deep && path.is_dir() {
                folders.push(path);
            }
        }
    };
    look(&root, &mut folders, false);
    while let Some(folder) = folders.pop() {
        look(&folder, &mut folders, true);
    }
    found
}

/// The command lines of a document, from its shell blocks and its code spans.
fn command_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for (place, part) in text.split("```").enumerate() {
        if place % 2 == 1 {
            lines.extend(part.lines().map(str::to_owned));
        } else {
            lines.extend(part.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    let commands = lines.iter().filter_map(|line| {
        let line = line.trim_start_matches("$ ").trim();
        let line = line.strip_prefix("fanfold ")?;
        // The rest is another command or a remark.
        let end = line.find([';', '|', '>', '#']).unwrap_or(line.len());
        Some(line[..end].trim().to_owned())
    });
    commands.collect()
}

/// The error in a command line, if any. A word in capitals or with an ellipsis is a placeholder.
fn wrong(app: &Command, line: &str) -> Option<String> {
    let mut command = app;
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.peek() {
        if word.starts_with('-') || !command.has_subcommands() {
            break;
        }
        if word.contains('…') || word.contains("...") || word.chars().all(|c| !c.is_lowercase()) {
            return None;
        }
        let Some(found) = command.find_subcommand(word) else {
            return Some(format!("there is no command {word}"));
        };
        command = found;
        words.next();
    }
    for word in words {
        let Some(flag) = word.trim_end_matches([',', '.']).strip_prefix("--") else {
            continue;
        };
        let name = flag.split('=').next().unwrap_or(flag);
        let known = command.get_arguments().chain(app.get_arguments());
        let mut known = known.filter_map(|argument| argument.get_long());
        if !name.is_empty() && !known.any(|long| long == name) {
            return Some(format!("{} has no --{name}", command.get_name()));
        }
    }
    None
}

/// The row of a setting or a limit in its table.
fn row(definition: &Definition) -> String {
    let Definition { name, about, .. } = definition;
    match definition.default {
        "" => format!("| `{name}` | unset | {about} |"),
        value => format!("| `{name}` | `{value}` | {about} |"),
    }
}

#[test]
fn every_setting_and_every_limit_is_documented_with_its_value_and_meaning() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (settings, limits) = page.split_once("\n## Limits\n").unwrap();
    for (text, definitions) in [
        (settings, Settings::definitions()),
        (limits, Settings::limits()),
    ] {
        let missing = definitions.iter().map(row);
        let missing: Vec<String> = missing.filter(|row| !text.contains(row)).collect();
        assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
        let is_row = |line: &&str| line.starts_with("| `") && !line.starts_with("| `AWS_");
        let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let names = text.lines().filter(is_row);
        let names = names.filter_map(|line| line.split('`').nth(1));
        let names = names.filter(|name| name.chars().all(upper)).count();
        assert_eq!(names, definitions.len(), "the page has others too");
    }
    for (name, ..) in Aws::VARIABLES {
        assert!(settings.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn every_command_in_the_documents_is_one_of_this_program() {
    let mut app = definition();
    app.build();
    let (mut found, mut faults) = (0, Vec::new());
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for line in command_lines(&text) {
            found += 1;
            if let Some(wrong) = wrong(&app, &line) {
                faults.push(format!("{}: fanfold {line}: {wrong}", document.display()));
            }
        }
    }
    assert!(found > 40, "only {found} commands were found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The fenced blocks of a language in every document, each with the path of its document.
fn blocks(language: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for block in text.split("```").skip(1).step_by(2) {
            if let Some(block) = block.strip_prefix(&format!("{language}\n")) {
                found.push((document.clone(), block.to_owned()));
            }
        }
    }
    found
}

#[test]
fn every_toml_block_is_a_file_of_settings_or_the_executor_of_a_type() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks("toml");
    assert!(blocks.len() >= 6, "only {} blocks were found", blocks.len());
    for (document, mut block) in blocks {
        if block.starts_with("kind =") {
            let head = "[[task-types]]\nname = \"default\"\n[task-types.executor]\n";
            block.insert_str(0, head);
        }
        let file = folder.path().join("fanfold.toml");
        std::fs::write(&file, &block).unwrap();
        let settings = Settings::load(Some(&file), |_| None, |_| None);
        let fault = match settings {
            Ok(settings) => worker::check(&settings.task_types).err(),
            Err(error) => panic!("{}: {error}\n{block}", document.display()),
        };
        // The program of an example may be missing on this machine, which is not a fault of the
        // example.
        let fault = fault.map(|error| error.to_string());
        let fault = fault.filter(|fault| !fault.contains("/opt/valuer"));
        assert_eq!(fault, None, "{}\n{block}", document.display());
    }
}

#[test]
fn every_json_block_is_json_and_every_xml_block_is_xml() {
    for (document, block) in blocks("json") {
        let json = serde_json::from_str::<serde_json::Value>(&block);
        assert!(json.is_ok(), "{}: {json:?}\n{block}", document.display());
    }
    for (document, block) in blocks("xml") {
        let limits = domain::document::Limits::accepted();
        let xml = domain::document::canonicalize(block.as_bytes(), &limits);
        assert!(xml.is_ok(), "{}: {xml:?}\n{block}", document.display());
    }
}

#[test]
fn every_make_target_in_the_documents_is_one_of_the_makefile() {
    let makefile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Makefile");
    let makefile = std::fs::read_to_string(makefile).unwrap();
    let mut found = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        let blocks = text.split("```").skip(1).step_by(2).flat_map(str::lines);
        let spans = text.split('`').skip(1).step_by(2);
        for line in blocks.chain(spans) {
            let line = line.trim_start_matches("$ ");
            let Some(target) = line.strip_prefix("make ") else {
                continue;
            };
            let target = target.split_whitespace().next().unwrap_or_default();
            found += 1;
            let known = makefile.contains(&format!("\n{target}:"));
            assert!(known, "{}: make {target}", document.display());
        }
    }
    assert!(found > 15, "only {found} were found");
}
