//! `roundtrip-http [ENDPOINT [std|smol|tokio|reactor|uring]]`: the server, behind a listening socket.

use std::process::ExitCode;
use std::sync::Arc;

use roundtrip_core::admission::Limits;
use roundtrip_core::protocol::Session;
use roundtrip_http::{Http, config};
use roundtrip_std::{Accepted, Backend, BindOptions, ServerHandle, bind};

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match run(args.first().map_or("127.0.0.1:8080", |arg| arg), args.get(1).map_or("std", |arg| arg)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}\n  try: roundtrip-http HOST:PORT std, smol, tokio, reactor or uring");
            ExitCode::FAILURE
        }
    }
}

fn run(endpoint: &str, driver: &str) -> Result<(), Box<dyn std::error::Error>> {
    let listener = bind(&endpoint.parse()?, &BindOptions::default())?;
    let config = Arc::new(config());
    let app = move |now, _: &Accepted| Session::new(Http::new(), Arc::clone(&config), now);
    println!("listening {}", listener.local_endpoint()?);
    // It is stopped by a signal: there is nothing to save.
    let handle = ServerHandle::new();
    match driver {
        "std" => roundtrip_std::Std.serve(vec![listener], Limits::default(), &handle, &app)?,
        "smol" => roundtrip_smol::Smol::default().serve(vec![listener], Limits::default(), &handle, &app)?,
        #[cfg(unix)]
        "tokio" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(roundtrip_tokio::serve(vec![listener], Limits::default(), handle, app.into()))?
        }
        #[cfg(unix)]
        "reactor" => {
            roundtrip_reactor::Reactor::default().serve(vec![listener], Limits::default(), &handle, &app)?
        }
        #[cfg(target_os = "linux")]
        "uring" => {
            roundtrip_uring::Uring::default().serve(vec![listener], Limits::default(), &handle, &app)?
        }
        other => return Err(format!("no driver `{other}`").into()),
    };
    Ok(())
}
