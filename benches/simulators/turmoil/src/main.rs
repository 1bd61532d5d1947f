//! On turmoil: one echo server and CLIENTS hosts; each sends MESSAGES times 64 bytes and checks what comes back.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};

const PORT: u16 = 7;

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

async fn check(client: u64, messages: u64) -> io::Result<u64> {
    let mut stream = TcpStream::connect(("server", PORT)).await?;
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

fn main() -> turmoil::Result {
    let numbers = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<Vec<u64>, _>>()?;
    // A host is handed its messages once a tick of 1 ms. Without latency a round trip is one tick, not two.
    let (clients, messages, latency) = match numbers[..] {
        [clients, messages] => (clients, messages, Duration::from_millis(1)),
        [clients, messages, latency] => (clients, messages, Duration::from_millis(latency)),
        _ => return Err("usage: turmoil-echo CLIENTS MESSAGES [MILLISECONDS OF LATENCY]".into()),
    };

    let mut sim = turmoil::Builder::new()
        .rng_seed(1)
        .min_message_latency(latency)
        .max_message_latency(latency)
        .simulation_duration(Duration::MAX)
        // Also the most connections that can wait to be accepted; the default is 64.
        .tcp_capacity(clients.max(64) as usize)
        .build();
    sim.host("server", || async {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        loop {
            let (stream, _peer) = listener.accept().await?;
            tokio::spawn(echo(stream));
        }
    });
    let verified = Rc::new(Cell::new(0));
    for client in 0..clients {
        let verified = Rc::clone(&verified);
        sim.client(format!("client-{client}"), async move {
            let messages = check(client, messages).await?;
            verified.set(verified.get() + messages);
            Ok(())
        });
    }
    sim.run()?;
    assert_eq!(verified.get(), clients * messages);
    println!("{} messages verified", verified.get());
    Ok(())
}
