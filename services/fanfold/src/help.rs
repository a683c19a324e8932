//! Help: the commands in groups, and the settings by part.

use std::fmt::Write as _;

use clap::Command;
use runtime::{Part, Settings};

/// The description of Fanfold in the help.
pub const ABOUT: &str = "Fanfold takes XML valuation requests over HTTP, fans each ordered group \
    of valuations out\nto workers, folds the results back in and returns the finished document.";

/// The top of the help; the commands follow in their groups.
pub const TEMPLATE: &str = "{about}\n\n{usage-heading} {usage}{after-help}";

/// The commands in the order in which a newcomer needs them.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "Run",
        &[
            "up",
            "api",
            "orchestrator",
            "worker",
            "projector",
            "webhooks",
            "tracer",
            "console",
        ],
    ),
    (
        "Operate",
        &[
            "requests",
            "redrive",
            "cancel",
            "dead-letters",
            "operation",
            "replay",
            "probe",
            "log-filter",
        ],
    ),
    (
        "Develop",
        &["dev", "new", "submit", "watch", "document", "worker-check"],
    ),
    (
        "Configure",
        &[
            "config",
            "deployment",
            "topology",
            "keys",
            "completions",
            "help",
        ],
    ),
];

const FOOTER: &str = "\
Options:
  --config FILE   Read settings from a TOML file
  --version       Print the version

Set a setting with a flag (--http-port 8081), in the environment (HTTP_PORT=8081) or in the file
(http_port = 8081); the first wins. `fanfold help settings` and `fanfold help COMMAND` say more.";

/// Lists the commands in groups, each with the first line of its help.
pub fn overview(app: &Command) -> String {
    let mut text = String::new();
    for (title, names) in GROUPS {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{title}:");
        for name in names {
            let about = app.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {name:<13} {about}");
        }
        text.push('\n');
    }
    text + FOOTER
}

/// Every setting, by part.
pub fn settings() -> String {
    let mut text = String::from(
        "Set a setting with a flag, in the environment or in the TOML file that --config names; \
         the\nfirst of these wins. HTTP_PORT is --http-port as a flag and http_port in the file.\n\
         Durations read 250ms, 10s, 5m, 1h or 7d; sizes read 64 KiB or 10 MiB.\n",
    );
    for part in Part::ALL {
        let _ = writeln!(text, "\n{}", part.title());
        for setting in Settings::definitions().iter().filter(|s| s.part == part) {
            let default = match setting.default {
                "" => String::new(),
                default => format!(" [{default}]"),
            };
            let _ = writeln!(text, "  {}{default}", setting.name);
            for line in wrapped(setting.about, 88) {
                let _ = writeln!(text, "      {line}");
            }
        }
    }
    text
}

/// Wraps a text into lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let fits = |line: &String| line.is_empty() || line.len() + 1 + word.len() <= width;
        match lines.last_mut().filter(|line| fits(line)) {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The help of a command, named by the words of its command line.
pub fn of(app: &mut Command, words: &[String]) -> Result<String, String> {
    if words == ["settings"] {
        return Ok(settings());
    }
    let mut command = app;
    for word in words {
        let Some(found) = command.find_subcommand_mut(word) else {
            return Err(format!(
                "there is no command '{}': see fanfold help",
                words.join(" ")
            ));
        };
        command = found;
    }
    Ok(command.render_long_help().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command_line::definition;

    #[test]
    fn the_help_fits_one_screen_and_has_every_command_once() {
        let mut app = definition();
        let help = app.render_help().to_string();
        assert!(help.starts_with("Fanfold takes"), "{help}");
        assert!(help.lines().count() <= 48, "{help}");
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
        for command in app.get_subcommands() {
            let row = format!("\n  {:<13} ", command.get_name());
            assert_eq!(help.matches(&row).count(), 1, "{row}: {help}");
        }
    }

    #[test]
    fn the_help_of_a_command_shows_its_own_options_only() {
        let mut app = definition();
        app.build();
        for words in [vec!["up"], vec!["redrive"], vec!["replay", "show"]] {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            let help = of(&mut app, &words).unwrap();
            assert!(!help.contains("--http-port"), "{help}");
            assert!(help.lines().count() < 40, "{help}");
        }
    }

    #[test]
    fn every_setting_is_explained_in_its_part() {
        let help = settings();
        for setting in Settings::definitions() {
            let row = format!("\n  {}", setting.name);
            assert!(help.contains(&row), "{row}");
        }
        assert!(help.lines().all(|line| line.len() <= 100));
    }

    #[test]
    fn help_starts_in_the_imperative() {
        fn check(command: &Command) {
            let about = command.get_about().map(ToString::to_string);
            let about = about.unwrap_or_default();
            let verb = about.split(' ').next().unwrap_or_default();
            let is_imperative = !verb.is_empty() && !verb.ends_with('s') && !about.ends_with('.');
            assert!(is_imperative, "{}: {about}", command.get_name());
            command.get_subcommands().for_each(check);
        }
        definition().get_subcommands().for_each(check);
    }
}
