//! The command line: what may be written, and what is said of what may not.

mod defaults;

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher};
use std::net::Ipv6Addr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use roundtrip_core::text::{escaped, is_hidden};
use roundtrip_echo::ClientConfig;
use roundtrip_std::{Endpoint, Family};

use crate::check::CheckArgs;
use crate::driver;
use crate::keepalive::{KeepaliveArg, parse_keepalive};
use crate::listen::ListenArgs;
use crate::load::LoadArgs;
use crate::out;
use crate::post::PostArgs;
use crate::problem::Problem;
use crate::replay::ReplayArgs;
use crate::sim::SimVerb;
use crate::tls::ServeTlsArgs;
use crate::units;
use crate::units::{
    MaxRate, parse_count, parse_duration, parse_max_rate, parse_memory, parse_prefix, parse_spin,
    parse_threads,
};

/// Does a path carry bytes faithfully, both ways, to the end?
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true, disable_help_subcommand = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  roundtrip check                           check this machine's loopback, with a server of its own
  roundtrip serve 0.0.0.0:7007              echo to everybody who connects
  roundtrip check HOST:7007 --bytes 10MB    is every byte of 10 MB back, in order, with a clean end?
  roundtrip load HOST:7007 --rate 20k       how long does each of 20,000 messages a second take?
  roundtrip send localhost                  the tutorial's client: send a text, read it back
  roundtrip listen udp:239.1.2.3:7007       hear what `roundtrip post` says to that group
  roundtrip sim run echo --seeds 0..100000  a hundred thousand hostile schedules, each from its seed

Exit codes: 0 ok, 1 verification failed, 2 usage, 3 incomplete, 4 cannot connect or bind,
5 internal; of `sim`: 1 an invariant is broken, 3 a goal was not reached, 5 a run was not the same
twice";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Echo every byte until the peer half-closes
    Serve(ServeArgs),
    /// Send a text, half-close, and read to the end
    Send(SendArgs),
    /// Send a payload, half-close, and verify every byte that comes back
    Check(CheckArgs),
    /// Send message after message on many connections, verify every byte, and time each
    Load(LoadArgs),
    /// Post messages to a port, a group, every host of a network, or a Unix socket
    Post(PostArgs),
    /// Print messages that are posted, and which of those that carry numbers are missing
    Listen(ListenArgs),
    /// Run recorded sessions again, without a socket, and compare every action
    Replay(ReplayArgs),
    /// Run the sessions through a hostile network in virtual time
    #[command(subcommand, after_help = crate::sim::EXAMPLES)]
    Sim(SimVerb),
    /// Print what a shell needs to complete verbs and options
    Completions(CompletionsArgs),
    /// Print the manual page, or write a page for each verb
    Man(ManArgs),
    /// Help or the version was asked for, and given.
    #[command(skip)]
    Told,
}

/// Which implementation of the sockets to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Driver {
    /// Blocking, one thread a connection
    Std,
    /// One task a connection, on a few threads
    #[cfg(feature = "smol")]
    Smol,
    /// One tokio task a connection, on a few threads
    #[cfg(feature = "tokio")]
    Tokio,
    /// An edge-triggered event loop a thread
    #[cfg(feature = "reactor")]
    Reactor,
    /// A completion ring a thread; Linux 6.1 or later
    #[cfg(feature = "uring")]
    Uring,
}

#[derive(Debug, Args)]
pub(crate) struct DriverArgs {
    /// What drives the connections [default: reactor where there is one, else smol; over datagrams std]
    #[arg(long, value_enum)]
    pub(crate) driver: Option<Driver>,
    /// Threads that run the connections; not with --driver std [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Look for so long before sleeping, while that pays: sooner answers for a core that is always busy; with --driver reactor, at most 10ms [default: not at all]
    #[arg(long, value_name = "TIME", value_parser = parse_spin)]
    pub(crate) spin: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Where to listen: HOST:PORT (port 0 is a free one), unix:PATH, unix:@NAME, udp:HOST:PORT, unix-dgram:PATH, pipe:NAME (Windows), systemd:, or stdio:
    #[arg(value_name = "ENDPOINT", default_value = "127.0.0.1:27015")]
    pub(crate) endpoints: Vec<String>,
    #[command(flatten)]
    pub(crate) driver: DriverArgs,
    /// Serve one client, then exit; a second one is refused
    #[arg(long)]
    pub(crate) once: bool,
    /// Print what the tutorial's server prints
    #[arg(long, requires = "once")]
    pub(crate) transcript: bool,
    /// Connections at one time; more wait in the backlog [default: what the descriptors allow]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(crate) max_conns: Option<u64>,
    /// Connections at one time from one address, or one user of a Unix socket; more are refused
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(crate) max_per_source: Option<u64>,
    /// Leading bits of an IPv6 address that count as one source for --max-per-source
    #[arg(long, value_name = "BITS", default_value = "64", value_parser = parse_prefix)]
    pub(crate) source_prefix: u8,
    /// Bytes held for one connection
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = parse_memory)]
    pub(crate) buffer: usize,
    /// Bytes that the kernel holds for a connection in each direction [default: as it sees fit]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub(crate) socket_buffer: Option<usize>,
    /// Probe silent TCP connections: after IDLE, then every INTERVAL, and reset after PROBES without an answer; or `off` [default: 60s,10s,6]
    #[arg(long, value_name = "IDLE[,INTERVAL[,PROBES]]", value_parser = parse_keepalive)]
    pub(crate) keepalive: Option<KeepaliveArg>,
    /// Datagrams answered a second on each socket of them, shared by all sources, or `off` [default: 10000]
    #[arg(long, value_name = "N", value_parser = parse_max_rate)]
    pub(crate) max_rate: Option<MaxRate>,
    /// Close a connection on which no byte moved for so long [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) idle: Option<Duration>,
    /// Close a connection that takes no byte for so long after its half-close [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) half_close_idle: Option<Duration>,
    /// Close a connection after so long [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) max_age: Option<Duration>,
    /// After SIGINT or SIGTERM: how long until everybody is cut off; one that goes on is ended after half of it, at most 5s
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub(crate) drain: Duration,
    #[command(flatten)]
    pub(crate) tls: ServeTlsArgs,
    /// Write all that passes through the sessions here, every byte of it, for `roundtrip replay`; -: standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "transcript")]
    pub(crate) record: Option<String>,
    /// End the record at this size, with a warning; the sessions go on
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_count)]
    pub(crate) record_limit: u64,
    #[command(flatten)]
    family: FamilyArgs,
}

const SERVE_EXAMPLES: &str = "\
Examples:
  roundtrip serve                                  on port 27015 of this machine alone
  roundtrip serve [::]:7007 unix:/run/echo.sock    on all addresses, and on a Unix socket
  roundtrip serve 127.0.0.1:0                      on a free port, which is printed
  roundtrip serve 0.0.0.0:7007 --threads 4 --max-per-source 100 --idle 60s
  roundtrip serve udp:127.0.0.1:7007               over datagrams, for this machine alone
  roundtrip serve --once --record session.record   and roundtrip replay session.record
  roundtrip serve 0.0.0.0:7007 --tls-cert server.pem --tls-key server.key
  roundtrip serve --once --transcript              the tutorial's server

Signals: SIGINT, SIGTERM and SIGQUIT drain, and so does SIGHUP if the program has a controlling
terminal; a second one stops at once. SIGUSR1 prints the counters.

Exit codes: 0 ok, 2 usage, 3 somebody was cut off, bytes were lost, or the record is not whole,
4 cannot bind, 5 internal";

#[derive(Debug, Args)]
#[command(after_help = SEND_EXAMPLES)]
pub(crate) struct SendArgs {
    /// Where to connect: HOST:PORT, unix:PATH, unix:@NAME or pipe:NAME (Windows)
    #[arg(value_name = "ENDPOINT", required_unless_present = "transcript")]
    pub(crate) endpoint: Option<String>,
    /// What to send
    #[arg(default_value = "this is a test")]
    pub(crate) text: String,
    /// Do as the tutorial's client does: read whatever comes to the end, verify none of it, print its errors and exit with its codes
    #[arg(long)]
    pub(crate) transcript: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

const SEND_EXAMPLES: &str = "\
Examples:
  roundtrip send localhost                     the tutorial's text, to port 27015
  roundtrip send HOST:7007 \"this is a test\"
  roundtrip send unix:/run/echo.sock hello

Exit codes: 0 ok, 1 verification failed, 2 usage, 3 timed out or interrupted, 4 cannot connect,
5 internal";

#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(roundtrip completions bash)         for this shell
  roundtrip completions bash > ~/.local/share/bash-completion/completions/roundtrip
  roundtrip completions fish > ~/.config/fish/completions/roundtrip.fish
  roundtrip completions zsh > ~/.zfunc/_roundtrip";

#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(crate) struct ManArgs {
    /// Write all pages here, the folder too if it is not there [default: the first page, to standard output]
    #[arg(value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) folder: Option<PathBuf>,
}

const MAN_EXAMPLES: &str = "\
Examples:
  roundtrip man | man -l -                     read the first page
  roundtrip man ~/.local/share/man/man1        then: man roundtrip-check";

#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// Give up on an address that does not answer for so long
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub(crate) connect_timeout: Duration,
    /// Give up when no byte moved for so long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    /// Bytes that the kernel holds for the connection in each direction [default: as it sees fit]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub(crate) socket_buffer: Option<usize>,
    /// Probe a silent TCP connection: after IDLE, then every INTERVAL, and reset after PROBES without an answer; or `off` [default: 60s,10s,6]
    #[arg(long, value_name = "IDLE[,INTERVAL[,PROBES]]", value_parser = parse_keepalive)]
    pub(crate) keepalive: Option<KeepaliveArg>,
    #[command(flatten)]
    family: FamilyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FamilyArgs {
    /// Use IPv4 only
    #[arg(short = '4', conflicts_with = "v6")]
    v4: bool,
    /// Use IPv6 only
    #[arg(short = '6')]
    v6: bool,
}

impl FamilyArgs {
    pub(crate) const fn family(&self) -> Family {
        match (self.v4, self.v6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}

impl Default for Driver {
    /// The fastest that needs nothing of the system that may be forbidden.
    fn default() -> Self {
        driver::DEFAULT
    }
}

impl Driver {
    /// As it is written on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Std => "std",
            #[cfg(feature = "smol")]
            Self::Smol => "smol",
            #[cfg(feature = "tokio")]
            Self::Tokio => "tokio",
            #[cfg(feature = "reactor")]
            Self::Reactor => "reactor",
            #[cfg(feature = "uring")]
            Self::Uring => "uring",
        }
    }
}

impl DriverArgs {
    /// What drives streams.
    pub(crate) fn of_streams(&self) -> Driver {
        self.driver.unwrap_or_default()
    }

    /// The options that are not the default, to be given again.
    pub(crate) fn again(&self) -> impl Iterator<Item = String> + use<> {
        let driver = self.driver.filter(|driver| *driver != Driver::default());
        [
            driver.map(|driver| format!("--driver {}", driver.name())),
            self.threads.map(|threads| format!("--threads {threads}")),
            self.spin.map(|spin| format!("--spin {}", units::duration(spin))),
        ]
        .into_iter()
        .flatten()
    }
}

impl ServeArgs {
    pub(crate) const fn family(&self) -> Family {
        self.family.family()
    }
}

impl ClientArgs {
    /// The options that are not the default, to be given again.
    pub(crate) fn again(&self) -> impl Iterator<Item = String> + use<> {
        let defaults = ClientConfig::default();
        let timeout = Some(self.timeout).filter(|timeout| Some(*timeout) != defaults.timeout);
        let family = match self.family() {
            Family::Any => None,
            Family::V4 => Some("-4".to_owned()),
            Family::V6 => Some("-6".to_owned()),
        };
        [
            timeout.map(|timeout| format!("--timeout {}", units::duration(timeout))),
            self.socket_buffer.map(|bytes| format!("--socket-buffer {bytes}")),
            self.keepalive.map(|keepalive| format!("--keepalive {keepalive}")),
            family,
        ]
        .into_iter()
        .flatten()
    }

    pub(crate) const fn family(&self) -> Family {
        self.family.family()
    }
}

/// An endpoint as it was written on the command line.
pub(crate) fn endpoint(text: &str) -> Result<Endpoint, Problem> {
    let endpoint = text.parse().map_err(|error: roundtrip_std::EndpointError| {
        Problem::usage(format!("bad endpoint `{}`: {error}", escaped(text)), error.advice())
    })?;
    // RFC 4007 section 11: without a zone, the system does not know on which link it is.
    if let Endpoint::Tcp { host, .. } | Endpoint::Udp { host, .. } = &endpoint
        && host.parse().is_ok_and(|address: Ipv6Addr| address.is_unicast_link_local())
    {
        let cause = format!("bad endpoint `{}`: a link-local address without its interface", escaped(text));
        return Err(Problem::usage(cause, format!("name the interface, as in [{host}%eth0]:PORT")));
    }
    Ok(endpoint)
}

/// Whether to half-close: as is asked for, and else wherever it can be done. A server of our own has it.
pub(crate) fn half_close(asked: Option<bool>, endpoint: Option<&str>) -> Result<bool, Problem> {
    let Some(name) = endpoint else { return Ok(asked.unwrap_or(true)) };
    let has_it = self::endpoint(name)?.has_half_close();
    if asked == Some(true) && !has_it {
        return Err(Problem::usage(
            format!("{name} has no half-close: one side cannot end and go on reading"),
            "leave out --half-close",
        ));
    }
    Ok(asked.unwrap_or(has_it))
}

/// Short enough to be typed again.
pub(crate) fn random_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish() % 100_000
}

pub(crate) fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("neither on nor off\nwrite on or off".to_owned()),
    }
}

/// All that may be written, and what is said of it: the help, the completions and the manual are made from it.
pub(crate) fn command() -> clap::Command {
    let command = Cli::command();
    let defaults = defaults::table(&command);
    command.after_long_help(format!("{EXAMPLES}\n\n{defaults}"))
}

fn parse_from(args: impl Iterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(args);
    matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| error.format(&mut command))
}

/// The verb that was asked for. Help and the version are printed here.
pub(crate) fn parse() -> Result<Verb, Problem> {
    match parse_from(std::env::args_os()) {
        Ok(cli) => Ok(cli.verb),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            out::say(error.render().to_string().trim_end()).map(|()| Verb::Told)
        }
        Err(error) => {
            // What is hidden in what was written is shown, and its line ends are not taken for clap's own.
            let printable = std::env::args_os().map(|arg| match arg.to_str() {
                Some(text) if text.chars().any(is_hidden) => escaped(text).to_string().into(),
                _ => arg,
            });
            Err(explain(&parse_from(printable).err().unwrap_or(error)))
        }
    }
}

/// One cause and one way out, from clap's several paragraphs.
fn explain(error: &clap::Error) -> Problem {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Problem::usage("no verb given", "`roundtrip check`, or `roundtrip --help` for all there is");
    }
    let rendered = error.render().to_string();
    let mut paragraphs = rendered.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let mut lines = first.lines().map(str::trim);
    let mut cause = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    // A list of what is missing or possible follows its colon; a value's own advice follows its cause.
    let rest: Vec<_> = lines.collect();
    let own = rest.first().copied().filter(|_| error.kind() == ErrorKind::ValueValidation);
    if own.is_none() && !rest.is_empty() {
        cause = format!("{cause} {}", rest.join(" "));
    }
    let tip = paragraphs.find_map(|paragraph| paragraph.trim().strip_prefix("tip: "));
    // How to pass `--nope` as a value is nothing that anybody asked.
    let tip = tip.filter(|tip| !tip.starts_with("to pass"));
    let advice =
        own.or(tip).unwrap_or("`roundtrip --help` shows the verbs, `roundtrip VERB --help` their options");
    Problem::usage(cause, advice)
}

/// The verb of a command line in which no word has a space.
#[cfg(test)]
pub(crate) fn parsed(words: &str) -> Result<Verb, clap::Error> {
    Ok(Cli::try_parse_from(["roundtrip"].into_iter().chain(words.split(' ')))?.verb)
}

/// Advice may name the options of its verb, and no others.
#[cfg(test)]
pub(crate) fn assert_has_options(command: &clap::Command, verb: &str, advice: &str) {
    let verb = command.find_subcommand(verb).unwrap_or_else(|| panic!("no verb {verb}"));
    for (begins, _) in advice.match_indices("--") {
        let name: String =
            advice[begins + 2..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let has = verb.get_arguments().any(|arg| arg.get_long() == Some(&*name));
        assert!(has, "{} has no --{name}: {advice}", verb.get_name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roundtrip_core::admission::Limits;
    use roundtrip_echo::ServerConfig;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    /// The command of an example: before what is said of it, and without what a shell does.
    fn command_of(example: &str) -> Vec<&str> {
        let begins = example.find("roundtrip").unwrap();
        let ends = example[begins..].find(['|', '>', ')']).map_or(example.len(), |end| begins + end);
        let command = example[begins..ends].split("  ").next().unwrap();
        let parts = command.split('"').enumerate();
        parts
            .flat_map(|(at, part)| if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
            .collect()
    }

    #[test]
    fn the_examples_are_commands() {
        let mut commands = vec![command()];
        let mut examples = 0;
        while let Some(verb) = commands.pop() {
            commands.extend(verb.get_subcommands().cloned());
            let after = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            for example in after.lines().skip(1).take_while(|line| !line.is_empty()) {
                let words = command_of(example);
                let parsed = Cli::try_parse_from(&words);
                assert!(parsed.is_ok(), "{words:?}: {parsed:?}");
                examples += 1;
            }
        }
        assert!(examples > 40, "{examples}");
    }

    /// They are written here as people read them, and in the core as it uses them.
    #[test]
    fn defaults_are_those_of_the_core() {
        let parse = |verb| Cli::try_parse_from(["roundtrip", verb]).unwrap().verb;
        let Verb::Serve(serve) = parse("serve") else { unreachable!() };
        assert_eq!(serve.buffer, ServerConfig::default().buffer);
        assert_eq!(serve.drain, Limits::default().drain);
        assert_eq!(endpoint(&serve.endpoints[0]).unwrap(), endpoint("127.0.0.1").unwrap());
        let Verb::Check(check) = parse("check") else { unreachable!() };
        assert_eq!(check.read, None);
        assert_eq!(
            half_close(check.half_close, Some("localhost")).unwrap(),
            ClientConfig::default().half_close
        );
        assert_eq!(Some(check.client.timeout), ClientConfig::default().timeout);
    }
}
