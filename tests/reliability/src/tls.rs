//! Clients that fail a TLS handshake, as fast as they can.

use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use roundtrip_testkit::pki::Authority;
use socket2::SockRef;

use crate::client::connect;
use crate::folder::Folder;
use crate::server::serve;
use crate::{Cell, Failed, Scale};

const THREADS: usize = 4;
const ATTACK: Duration = Duration::from_secs(10);
/// At most one warning in this time.
const WARNING_INTERVAL: Duration = Duration::from_secs(5);
/// The beginning of a `ClientHello` (RFC 8446 section 4.1.2).
const PARTIAL_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0];

/// What the clients of one thread did.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    /// Spoke no TLS, and were refused.
    refused: u64,
    /// Left in mid-handshake.
    left: u64,
}

pub(crate) fn trial(driver: &str, scale: Scale) -> Result<Cell, Failed> {
    let folder = Folder::new()?;
    let signed = Authority::new().server();
    let file = |name: &str, text: &str| private_file(&folder.join(name), text);
    let (cert, key) = (file("cert.pem", &signed.certificate)?, file("key.pem", &signed.key)?);
    let start = Instant::now();
    let (process, endpoint) = serve(driver, "127.0.0.1:0", &["--tls-cert", &cert, "--tls-key", &key])?;
    let address: SocketAddr = endpoint.trim_start_matches("tcp:").parse()?;

    let attack = scale.time(ATTACK);
    let sent = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| fail_handshakes(address, start, attack))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Ok(Sent::default())))
            .collect::<io::Result<Vec<_>>>()
    })?;
    let warnings = process.error_lines();
    let allowed = 1 + start.elapsed().as_secs() / WARNING_INTERVAL.as_secs();
    let finished = process.stop()?;

    let refused: u64 = sent.iter().map(|sent| sent.refused).sum();
    let all = refused + sent.iter().map(|sent| sent.left).sum::<u64>();
    let counted = counted(&finished.errors);
    let lost_nothing = finished.errors.iter().any(|line| line.contains(" 0 bytes lost"));
    let is_good = (1..=allowed).contains(&warnings)
        && refused > 0
        && (refused..=all).contains(&counted)
        && lost_nothing
        && finished.code == Some(0);
    let lost = if lost_nothing { "0 bytes lost" } else { "bytes lost" };
    let text =
        format!("{all} handshakes, {counted} counted in {warnings} warnings, {lost}, {}", finished.exit());
    Ok(Cell::new(is_good, text))
}

fn private_file(path: &Path, text: &str) -> io::Result<String> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(path.display().to_string())
}

/// Three of four clients speak no TLS and read the alert; the fourth leaves in mid-handshake.
fn fail_handshakes(address: SocketAddr, start: Instant, attack: Duration) -> io::Result<Sent> {
    let mut sent = Sent::default();
    while start.elapsed() < attack {
        for client in 0..4 {
            let mut stream = connect(address)?;
            // Otherwise the ports that are left in TIME-WAIT run out.
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            if client == 3 {
                stream.write_all(PARTIAL_HELLO)?;
                sent.left += 1;
            } else {
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
                let mut alert = [0; 2];
                stream.read_exact(&mut alert)?;
                // Handshake failures are told by an alert record: RFC 8446 section 6.2.
                if alert != [21, 3] {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                sent.refused += 1;
            }
        }
    }
    Ok(sent)
}

/// Connections in lines about one of them, and in the counts of those that have no line: "N more since the last line" in
/// the next one, "N more connections" at the end.
fn counted(lines: &[String]) -> u64 {
    let about_tls = lines.iter().filter(|line| line.contains("TLS"));
    about_tls
        .map(|line| {
            let more = line.split_once(" more ").map_or(0, |(before, _)| number_at_end(before));
            let is_count_alone =
                line.starts_with(|first: char| first.is_ascii_digit()) && line.contains(" more connections");
            more + u64::from(!is_count_alone)
        })
        .sum()
}

/// A number such as 1,234 at the end of a text.
fn number_at_end(text: &str) -> u64 {
    let digits = text.rsplit(|c: char| !c.is_ascii_digit() && c != ',').next().unwrap_or_default();
    digits.replace(',', "").parse().unwrap_or(0)
}
