//! Tests of the program from outside, linked as one program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod bad_input;
mod common;
mod datagrams;
#[cfg(unix)]
mod documents;
#[cfg(target_os = "linux")]
mod endpoints;
mod files;
mod generated;
#[cfg(unix)]
mod guide;
mod json;
#[cfg(unix)]
mod load;
mod multicast;
#[cfg(target_os = "linux")]
mod paths;
#[cfg(unix)]
mod peers;
#[cfg(windows)]
mod pipes;
mod record;
#[cfg(unix)]
mod serve;
mod sim;
#[cfg(unix)]
mod tls;
mod transcript;
#[cfg(unix)]
mod tutorial;
#[cfg(unix)]
mod verdicts;
#[cfg(target_os = "linux")]
mod wine;
