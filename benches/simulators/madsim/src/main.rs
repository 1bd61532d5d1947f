//! On madsim: one echo server and CLIENTS hosts; each sends MESSAGES times 64 bytes and checks what comes back.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use madsim::net::{TcpListener, TcpStream};
use madsim::runtime::{Handle, Runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Every sixteen bytes tell whose message it is, and which.
fn message(client: u64, number: u64) -> [u8; 64] {
    let words = [client, number, client, number, client, number, client, number];
    let mut message = [0; 64];
    for (bytes, word) in message.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    message
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let got = stream.read(&mut buffer).await?;
        if got == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..got]).await?;
        // What is written is sent by a flush, and by nothing else.
        stream.flush().await?;
    }
}

async fn check(server: SocketAddr, client: u64, messages: u64) -> io::Result<u64> {
    let mut stream = TcpStream::connect(server).await?;
    for number in 0..messages {
        let (sent, mut back) = (message(client, number), [0; 64]);
        stream.write_all(&sent).await?;
        stream.flush().await?;
        stream.read_exact(&mut back).await?;
        assert_eq!(back, sent, "client {client}, message {number}");
    }
    // No half-close: madsim's `shutdown` returns and does nothing, so the connection is dropped.
    Ok(messages)
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|arg| arg.parse().expect("a number")).collect();
    let [clients, messages] = numbers[..] else { panic!("usage: madsim-echo CLIENTS MESSAGES") };

    let mut config = madsim::Config::default();
    // An empty range panics.
    config.net.send_latency = Duration::from_millis(1)..Duration::from_nanos(1_000_001);
    let runtime = Runtime::with_seed_and_config(1, config);
    let address: SocketAddr = "10.0.0.1:7".parse().unwrap();
    let server = runtime.create_node().name("server").ip(address.ip()).build();
    // Bound before anyone connects: a connection to nobody is refused.
    let listener = runtime.block_on(server.spawn(TcpListener::bind(address))).unwrap().unwrap();
    server.spawn(async move {
        loop {
            let (stream, _peer) = listener.accept().await.unwrap();
            madsim::task::spawn(echo(stream));
        }
    });
    let verified: u64 = runtime.block_on(async {
        let mut running = Vec::new();
        for client in 0..clients {
            let ip = [10, 0, 1 + (client / 256) as u8, (client % 256) as u8];
            let node = Handle::current().create_node().ip(ip.into()).build();
            running.push(node.spawn(check(address, client, messages)));
        }
        let mut verified = 0;
        for client in running {
            verified += client.await.unwrap().unwrap();
        }
        verified
    });
    assert_eq!(verified, clients * messages);
    println!("{verified} messages verified");
}
