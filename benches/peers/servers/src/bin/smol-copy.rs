//! smol's `examples/tcp-server.rs`: `io::copy` in a task a connection, on its global executor.
//!
//! ```text
//! smol-copy [nodelay]
//! ```

use std::net::{TcpListener, TcpStream};

use smol::{Async, io};

async fn echo(stream: Async<TcpStream>) -> io::Result<()> {
    io::copy(&stream, &mut &stream).await?;
    Ok(())
}

fn main() -> io::Result<()> {
    let nodelay = std::env::args().nth(1).is_some_and(|word| word == "nodelay");
    smol::block_on(async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        println!("listening {}", listener.get_ref().local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            if nodelay {
                stream.get_ref().set_nodelay(true)?;
            }
            smol::spawn(echo(stream)).detach();
        }
    })
}
