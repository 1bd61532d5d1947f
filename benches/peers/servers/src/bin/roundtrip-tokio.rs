//! Our tokio driver as an application uses it: a server that is a future of its runtime.

use std::error::Error;
use std::sync::Arc;

use roundtrip_core::admission::Limits;
use roundtrip_echo::{EchoServer, ServerConfig};
use roundtrip_tokio::{Accepted, BindOptions, ServerHandle, bind, serve};
use tokio::runtime::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let listener = bind(&"127.0.0.1:0".parse()?, &BindOptions::default())?;
    println!("listening {}", listener.local_address().map_or(0, |address| address.port()));
    let config = Arc::new(ServerConfig::default());
    let echo = Arc::new(move |now, _: &Accepted| EchoServer::new(Arc::clone(&config), now));
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let server = serve(vec![listener], Limits::default(), ServerHandle::new(), echo);
    runtime.block_on(async { tokio::spawn(server).await })??;
    Ok(())
}
