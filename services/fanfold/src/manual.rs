//! The manual pages, which packages install: one of each command, and one of the settings.

use std::fs;
use std::io::Result;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::help;

/// The name of each page on its lower left.
const SOURCE: &str = concat!("fanfold ", env!("CARGO_PKG_VERSION"));
/// The page of the settings, in the section of what is no command.
const SETTINGS: (&str, &str) = ("fanfold-settings", "7");

/// Writes the pages into a folder, which it creates.
pub fn write(app: &Command, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    // The overview lists the commands once more.
    let overview = clap::builder::Resettable::Reset;
    write_of(app.clone().after_help(overview), folder)?;
    let (name, section) = SETTINGS;
    fs::write(folder.join(format!("{name}.{section}")), settings())
}

fn write_of(mut command: Command, folder: &Path) -> Result<()> {
    command.build();
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        write_of(inner.clone(), folder)?;
    }
    let man = Man::new(command.clone()).source(SOURCE).manual("Fanfold");
    fs::write(folder.join(man.get_filename()), page(&man, &command)?)
}

fn page(man: &Man, command: &Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command
        .get_arguments()
        .any(|argument| !argument.is_hide_set())
    {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let notes = command.get_after_long_help();
    if let Some(notes) = notes.or_else(|| command.get_after_help()) {
        page.extend(as_it_is("NOTES", &notes.to_string()).render().bytes());
    }
    let mut further = Roff::new();
    further.control("SH", ["SEE ALSO"]);
    further.text([roman("fanfold(1), fanfold-settings(7)")]);
    page.extend(further.render().bytes());
    Ok(page)
}

fn settings() -> String {
    let mut page = Roff::new();
    let (name, section) = SETTINGS;
    page.control("TH", [name, section, "", SOURCE, "Fanfold"]);
    page.control("SH", ["NAME"]);
    page.text([roman("fanfold-settings - every setting, by part")]);
    page.render() + &as_it_is("DESCRIPTION", &help::settings()).render()
}

/// A section whose lines stay as they are.
fn as_it_is(title: &str, text: &str) -> Roff {
    let mut section = Roff::new();
    section.control("SH", [title]);
    section.control("nf", []);
    for line in text.lines() {
        section.text([roman(line)]);
    }
    section.control("fi", []);
    section
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command_line::definition;

    fn names(command: &Command, above: &str, all: &mut Vec<String>) {
        let name = format!("{above}{}", command.get_name());
        for inner in command.get_subcommands() {
            names(inner, &format!("{name}-"), all);
        }
        all.push(format!("{name}.1"));
    }

    #[test]
    fn every_command_has_a_page_and_the_settings_have_one() {
        let folder = tempfile::tempdir().unwrap();
        write(&definition(), folder.path()).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let mut all = vec!["fanfold-settings.7".to_owned()];
        names(&definition(), "", &mut all);
        let found = fs::read_dir(folder.path()).unwrap();
        let mut found: Vec<String> = found
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        all.sort();
        found.sort();
        assert_eq!(found, all);
        assert!(read("fanfold-settings.7").contains("HTTP_PORT"));
        let top = read("fanfold.1");
        assert!(top.contains("fanfold\\-dead\\-letters(1)"), "{top}");
        assert!(!top.contains("Operate:"), "the overview: {top}");
        let of_one = read("fanfold-topology-apply.1");
        let example = "\n  NATS_CREDS_FILE=admin.creds fanfold topology apply\n";
        assert!(of_one.contains(example), "{of_one}");
    }
}
