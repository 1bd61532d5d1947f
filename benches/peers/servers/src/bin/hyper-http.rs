//! hyper's HTTP/1.1 server on one thread of tokio: what `examples/http/wrk.sh` measures the example beside. Every request gets
//! the example's text.
//!
//!   hyper-http HOST:PORT

use std::convert::Infallible;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

async fn hello(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"hello\n")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening tcp:{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        // The example's drivers do the same.
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let stream = TokioIo::new(stream);
            // The timer is that of the limit for a header: the example has one too.
            let served =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(stream, service_fn(hello));
            // An error is a client that went away.
            let _ = served.await;
        });
    }
}
