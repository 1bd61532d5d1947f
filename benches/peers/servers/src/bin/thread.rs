//! The standard library, a thread a connection, as it is taught: spawned at accept, 4 KiB, no socket option.
//!
//! ```text
//! thread [tuned]
//! ```
//!
//! Tuned, it has 64 KiB and `TCP_NODELAY`.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let tuned = std::env::args().nth(1).is_some_and(|word| word == "tuned");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening {}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || if tuned { echo_tuned(stream) } else { echo(stream) });
    }
    Ok(())
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = [0; 4096];
    loop {
        let n = stream.read(&mut buf)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..n])?;
    }
}

fn echo_tuned(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut block = vec![0; 64 << 10];
    loop {
        let n = stream.read(&mut block)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&block[..n])?;
    }
}
