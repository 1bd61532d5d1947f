//! tokio, tuned: 64 KiB a connection, `TCP_NODELAY`, and for one thread the runtime that is made for one.
//!
//! ```text
//! tokio-tuned [THREADS]
//! ```

use std::error::Error;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(1), |threads| threads.parse())?;
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    let runtime = builder.worker_threads(threads).enable_io().build()?;
    // On a worker, not on the thread that waits for it.
    Ok(runtime.block_on(async { tokio::spawn(accept()).await })??)
}

async fn accept() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening {}", listener.local_addr()?.port());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(echo(socket));
    }
}

async fn echo(mut socket: TcpStream) -> io::Result<()> {
    let mut block = vec![0; 64 << 10];
    loop {
        let n = socket.read(&mut block).await?;
        if n == 0 {
            return Ok(());
        }
        socket.write_all(&block[..n]).await?;
    }
}
