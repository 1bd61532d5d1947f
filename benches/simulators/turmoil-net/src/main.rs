//! On turmoil-net: one echo server and CLIENTS hosts; each sends MESSAGES times 64 bytes and checks what comes back.

use std::io;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use turmoil_net::fixture::ClientServer;
use turmoil_net::shim::tokio::net::{TcpListener, TcpStream};

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
            return stream.shutdown().await;
        }
        stream.write_all(&buffer[..got]).await?;
    }
}

async fn serve(clients: u64) {
    let listener = TcpListener::bind("0.0.0.0:7").await.unwrap();
    // Not spawned: the fixture knows the host of the future it was given, and of no task spawned from it.
    let mut connections = FuturesUnordered::new();
    for _ in 0..clients {
        connections.push(echo(listener.accept().await.unwrap().0));
    }
    while let Some(ended) = connections.next().await {
        ended.unwrap();
    }
}

async fn check(client: u64, messages: u64) -> io::Result<u64> {
    let mut stream = TcpStream::connect("server:7").await?;
    for number in 0..messages {
        let (sent, mut back) = (message(client, number), [0; 64]);
        stream.write_all(&sent).await?;
        stream.read_exact(&mut back).await?;
        assert_eq!(back, sent, "client {client}, message {number}");
    }
    stream.shutdown().await?;
    let rest = stream.read_to_end(&mut Vec::new()).await?;
    assert_eq!(rest, 0, "client {client}: bytes after the last message");
    Ok(messages)
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|arg| arg.parse().expect("a number")).collect();
    let [clients, messages] = numbers[..] else { panic!("usage: turmoil-net-echo CLIENTS MESSAGES") };

    // Without a rule, what a host sends in one tick of a millisecond is there in the next.
    let (done, mut results) = mpsc::unbounded_channel();
    let mut net = ClientServer::new().server("server", serve(clients));
    for client in 0..clients {
        let done = done.clone();
        // The fixture has one client and any number of servers; a server is a host that runs a future.
        net = net.server(format!("client-{client}").as_str(), async move {
            done.send(check(client, messages).await.unwrap()).unwrap();
        });
    }
    drop(done);
    let verified = net.run("supervisor", async move {
        let mut verified = 0;
        while let Some(messages) = results.recv().await {
            verified += messages;
        }
        verified
    });
    assert_eq!(verified, clients * messages);
    println!("{verified} messages verified");
}
