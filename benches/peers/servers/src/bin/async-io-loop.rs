//! A bare loop on async-io, tuned: a future a connection, one thread, a block of 64 KiB that all share, `TCP_NODELAY`,
//! tried before it waits, and waited for at once after a read that left nothing behind.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use async_executor::LocalExecutor;
use async_io::{Async, block_on};

const BLOCK: usize = 64 << 10;

fn main() -> io::Result<()> {
    let block = RefCell::new(vec![0; BLOCK]);
    let executor = LocalExecutor::new();
    block_on(executor.run(async {
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
        println!("listening {}", listener.get_ref().local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.get_ref().set_nodelay(true)?;
            executor.spawn(echo(stream, &block)).detach();
        }
    }))
}

async fn echo(stream: Async<TcpStream>, block: &RefCell<Vec<u8>>) -> io::Result<()> {
    loop {
        let (read, left) = once(stream.get_ref(), &mut block.borrow_mut())?;
        write_all(&stream, &left).await?;
        match read {
            Some(0) => return Ok(()),
            Some(BLOCK) => {}
            _ => stream.readable().await?,
        }
    }
}

/// Reads and writes as far as it goes: how much was read, and what could not be written.
fn once(mut stream: &TcpStream, block: &mut [u8]) -> io::Result<(Option<usize>, Vec<u8>)> {
    let Some(read) = tried(stream.read(block))? else { return Ok((None, Vec::new())) };
    let written = if read == 0 { 0 } else { tried(stream.write(&block[..read]))?.unwrap_or(0) };
    Ok((Some(read), block[written..read].to_vec()))
}

async fn write_all(stream: &Async<TcpStream>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match tried(stream.get_ref().write(bytes))? {
            Some(written) => bytes = &bytes[written..],
            None => stream.writable().await?,
        }
    }
    Ok(())
}

fn tried(call: io::Result<usize>) -> io::Result<Option<usize>> {
    match call {
        Ok(n) => Ok(Some(n)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
