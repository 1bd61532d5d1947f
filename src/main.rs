//! `roundtrip`: does a path carry bytes faithfully, both ways, to the end?

mod check;
mod cli;
mod client;
mod completions;
mod datagrams;
mod driver;
mod erased;
mod file;
mod json;
mod keepalive;
mod listen;
mod load;
mod loopback;
mod man;
mod memory;
mod messages;
mod out;
mod platform;
mod post;
mod problem;
mod record;
mod replay;
mod send;
mod serve;
mod service;
mod signals;
mod sim;
mod stdio;
mod tls;
mod transcript;
mod transport;
mod units;
mod verdict;
mod warnings;

use std::process::ExitCode;

use problem::Exit;

fn main() -> ExitCode {
    let exit = match cli::parse() {
        Ok(cli::Verb::Serve(args)) => serve::run(&args),
        Ok(cli::Verb::Send(args)) => send::run(&args),
        Ok(cli::Verb::Check(args)) => check::run(&args),
        Ok(cli::Verb::Load(args)) => load::run(&args),
        Ok(cli::Verb::Post(args)) => post::run(&args),
        Ok(cli::Verb::Listen(args)) => listen::run(&args),
        Ok(cli::Verb::Replay(args)) => replay::run(&args),
        Ok(cli::Verb::Sim(verb)) => sim::run(&verb),
        Ok(cli::Verb::Completions(args)) => completions::run(&args),
        Ok(cli::Verb::Man(args)) => man::run(&args),
        Ok(cli::Verb::Told) => Ok(Exit::Ok),
        Err(problem) => Err(problem),
    };
    let exit = exit.unwrap_or_else(|problem| {
        json::complain(&problem);
        problem.exit()
    });
    exit.into()
}
