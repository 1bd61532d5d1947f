//! `roundtrip-room [ENDPOINT [std|smol|reactor|uring [drop|disconnect]]]`: a room behind a listening socket.

use std::process::ExitCode;

use roundtrip_core::admission::Limits;
use roundtrip_room::{Room, RoomConfig, Slow};
use roundtrip_std::{Backend, BindOptions, ServerHandle, SystemClock, bind};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let arg = |index: usize, default| args.get(index).map_or(default, |arg: &String| &arg[..]);
    match run(arg(0, "127.0.0.1:7000"), arg(1, "std"), arg(2, "drop")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "error: {error}\n  try: roundtrip-room HOST:PORT std, smol, tokio, reactor or uring, and then drop or disconnect"
            );
            ExitCode::FAILURE
        }
    }
}

fn run(endpoint: &str, driver: &str, slow: &str) -> Result<(), Box<dyn std::error::Error>> {
    let slow = match slow {
        "drop" => Slow::Drop,
        "disconnect" => Slow::Disconnect,
        other => return Err(format!("no policy `{other}`").into()),
    };
    let room = Room::new(RoomConfig { slow, ..RoomConfig::default() });
    let listeners = vec![bind(&endpoint.parse()?, &BindOptions::default())?];
    println!("listening {}", listeners[0].local_endpoint()?);
    // It is stopped by a signal: there is nothing to save.
    let (clock, limits, handle) = (SystemClock::new(), Limits::default(), ServerHandle::new());
    match driver {
        "std" => roundtrip_std::Std.serve_hub(&clock, listeners, limits, &handle, room)?,
        "smol" => roundtrip_smol::Smol::default().serve_hub(&clock, listeners, limits, &handle, room)?,
        #[cfg(unix)]
        "tokio" => roundtrip_tokio::Tokio::default().serve_hub(&clock, listeners, limits, &handle, room)?,
        #[cfg(unix)]
        "reactor" => {
            roundtrip_reactor::Reactor::default().serve_hub(&clock, listeners, limits, &handle, room)?
        }
        #[cfg(target_os = "linux")]
        "uring" => roundtrip_uring::Uring::default().serve_hub(&clock, listeners, limits, &handle, room)?,
        other => return Err(format!("no driver `{other}`").into()),
    };
    Ok(())
}
