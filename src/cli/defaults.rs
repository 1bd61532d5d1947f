//! A table of all defaults, from the definitions of the options.

use std::fmt::Write;

use clap::{Arg, Command};

/// Before a default that is told in words, in what is said of an option.
const IN_WORDS: &str = "[default: ";
/// Before the verbs of the simulator, told once in a line.
const SIM: &str = "sim ";

/// A line for each option and default, with the verbs that have it.
pub(super) fn table(command: &Command) -> String {
    let mut rows: Vec<(String, String, String)> = Vec::new();
    for (verb, command) in verbs("", command) {
        for (option, default) in command.get_arguments().filter_map(row) {
            match rows.iter_mut().find(|row| row.0 == option && row.1 == default) {
                Some((_, _, verbs)) => {
                    let is_sim = verbs.contains(SIM);
                    let verb = verb.strip_prefix(SIM).filter(|_| is_sim).unwrap_or(&verb);
                    let _ = write!(verbs, ", {verb}");
                }
                None => rows.push((option, default, verb.clone())),
            }
        }
    }
    let width = |column: fn(&(String, String, String)) -> &String| {
        rows.iter().map(|row| column(row).chars().count()).max().unwrap_or(0)
    };
    let (first, second) = (width(|row| &row.0), width(|row| &row.1));
    let lines = rows
        .iter()
        .map(|(option, default, verbs)| format!("\n  {option:first$}  {default:second$}  {verbs}"));
    format!("Defaults:{}", lines.collect::<String>())
}

/// Each verb that has no more below it, by its whole name.
fn verbs<'a>(above: &str, command: &'a Command) -> Vec<(String, &'a Command)> {
    let below = command.get_subcommands().flat_map(|verb| {
        let name = format!("{above}{}", verb.get_name());
        let below = verbs(&format!("{name} "), verb);
        if below.is_empty() { vec![(name, verb)] } else { below }
    });
    below.collect()
}

/// An option as it is written, and its default.
fn row(arg: &Arg) -> Option<(String, String)> {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let told = help.split_once(IN_WORDS).and_then(|(_, rest)| rest.split_once(']'));
    let default = match told {
        // What it depends on is told at the option.
        Some((words, _)) => words.split([',', ';']).next().unwrap_or_default().to_owned(),
        None if arg.is_hide_default_value_set() || !arg.get_action().takes_values() => return None,
        None => arg.get_default_values().first()?.to_string_lossy().into_owned(),
    };
    let name = arg.get_long().map(|long| format!("--{long}"));
    let name = name.or_else(|| arg.get_value_names()?.first().map(ToString::to_string));
    Some((name.unwrap_or_else(|| arg.get_id().to_string()), default))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    /// The rows of the table.
    fn rows() -> Vec<Vec<String>> {
        let table = table(&cli::command());
        let rows = table.lines().skip(1).map(|line| line.trim().split("  ").filter(|cell| !cell.is_empty()));
        rows.map(|cells| cells.map(|cell| cell.trim().to_owned()).collect()).collect()
    }

    #[test]
    fn every_default_is_in_the_table_and_nothing_else() {
        let rows = rows();
        let has = |row: [&str; 3]| assert!(rows.iter().any(|cells| *cells == row), "{row:?} of {rows:?}");
        has(["--buffer", "256KiB", "serve"]);
        has(["--max-conns", "what the descriptors allow", "serve"]);
        has(["--drain", "10s", "serve"]);
        has(["--bytes", "10MB", "check"]);
        has(["--connect-timeout", "5s", "send, check, load"]);
        has(["--timeout", "30s", "send, check, load"]);
        has(["--in-flight", "1", "load"]);
        has(["--faults", "swarm", "sim run, replay, shrink, explain"]);
        assert!(!rows.iter().any(|cells| ["--json", "--help", "--once", "--count"].contains(&&*cells[0])));
    }

    /// As wide as the help where there is no terminal to ask.
    #[test]
    fn no_line_of_examples_or_tables_is_broken() {
        let command = cli::command();
        for (_, verb) in verbs("", &command).into_iter().chain([(String::new(), &command)]) {
            let after = verb.get_after_long_help().or(verb.get_after_help()).map(ToString::to_string);
            for line in after.unwrap_or_default().lines() {
                assert!(line.chars().count() <= 100, "{line}");
            }
        }
    }
}
