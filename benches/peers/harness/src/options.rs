//! The command line: what `peers.sh` passes on.

use std::path::PathBuf;

/// What is asked for.
#[derive(Debug)]
pub struct Options {
    /// The program `roundtrip`.
    pub ours: PathBuf,
    /// Where the peers' programs are.
    pub peers: PathBuf,
    /// The repository's `docs`, if anything is to be written.
    pub write: Option<PathBuf>,
    /// Enough to see that it runs, not to see 3 %.
    pub quick: bool,
    /// Of pairs, if not as many as usual.
    pub rounds: Option<usize>,
    /// Goals with this in their names, and no tables.
    pub goal: Option<String>,
    /// System calls alone.
    pub syscalls: bool,
}

impl Options {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            ours: PathBuf::new(),
            peers: PathBuf::new(),
            write: None,
            quick: false,
            rounds: None,
            goal: None,
            syscalls: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            match word.as_str() {
                "--ours" => options.ours = value()?.into(),
                "--peers" => options.peers = value()?.into(),
                "--docs" => options.write = Some(value()?.into()),
                "--goal" => options.goal = Some(value()?),
                "--rounds" => {
                    let rounds = value()?.parse().ok().filter(|rounds| (1..=1000).contains(rounds));
                    options.rounds = Some(rounds.ok_or("--rounds wants a number of 1 to 1000")?);
                }
                "--quick" => options.quick = true,
                "--syscalls" => options.syscalls = true,
                _ => return Err(format!("{word}: no such option")),
            }
        }
        if options.write.is_some() && (options.goal.is_some() || options.syscalls) {
            return Err("--write is for a whole run".to_owned());
        }
        Ok(options)
    }
}
