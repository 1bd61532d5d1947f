//! `man`: the manual, made from the definitions of the verbs and options: one page for the program, and one for each
//! verb.

use std::io;

use clap::Command;
use clap_mangen::Man;
use roff::{Roff, bold, roman};
use roundtrip_core::text::escaped;

use crate::cli::{self, ManArgs};
use crate::problem::{Exit, Problem, plain};
use crate::units::grouped;
use crate::{file, out};

pub(crate) fn run(args: &ManArgs) -> Result<Exit, Problem> {
    let pages = pages().map_err(|error| Problem::system("cannot make the manual", &error))?;
    let Some(folder) = args.folder.as_ref().filter(|folder| folder.as_os_str() != "-") else {
        out::say(pages[0].1.trim_end())?;
        return Ok(Exit::Ok);
    };
    std::fs::create_dir_all(folder).map_err(|error| {
        let cause = format!("cannot write to {}: {}", escaped(&folder.display().to_string()), plain(&error));
        Problem::usage(cause, "name a folder that can be written to")
    })?;
    for (name, page) in &pages {
        file::write(&folder.join(name), page)?;
    }
    out::say(format!("{} pages written, the first is {}", grouped(pages.len() as u64), pages[0].0))?;
    Ok(Exit::Ok)
}

/// The pages, each with the name of its file; the program's is the first.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut program = cli::command();
    program.build();
    let mut commands = vec![&program];
    let mut done = 0;
    while let Some(command) = commands.get(done) {
        let below = command.get_subcommands();
        commands.extend(below.collect::<Vec<_>>());
        done += 1;
    }
    let above = |command: &Command| {
        let name = command.get_display_name().unwrap_or_default();
        name.rsplit_once('-').map(|(above, _)| above.to_owned())
    };
    commands.into_iter().map(|command| page(command, above(command))).collect()
}

fn page(command: &Command, above: Option<String>) -> io::Result<(String, String)> {
    let man = Man::new(command.clone()).source(concat!("roundtrip ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let after = command.get_after_long_help().or(command.get_after_help());
    let mut roff = Roff::new();
    for paragraph in after.map(ToString::to_string).unwrap_or_default().split("\n\n") {
        section(&mut roff, paragraph);
    }
    if let Some(above) = above {
        roff.control("SH", ["SEE ALSO"]).text([bold(above), roman("(1)")]);
    }
    roff.to_writer(&mut page)?;
    Ok((man.get_filename(), String::from_utf8_lossy(&page).into_owned()))
}

/// `Heading:` and what comes after it: lines as they are, or a text.
fn section(roff: &mut Roff, paragraph: &str) {
    let Some((heading, text)) = paragraph.split_once(':') else { return };
    roff.control("SH", [&*heading.to_uppercase()]);
    if let Some(lines) = text.strip_prefix('\n') {
        roff.control("nf", []);
        for line in lines.lines() {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        roff.control("fi", []);
    } else {
        roff.text([roman(text.trim().replace('\n', " "))]);
    }
}
