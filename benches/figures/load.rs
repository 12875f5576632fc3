//! Load over HTTP, with as little effort as possible, and how its rates are shown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::Server;

pub(crate) const CONNECTIONS: usize = 32;
pub(crate) const MEASURED: Duration = Duration::from_secs(8);
pub(crate) const WARM_UP: Duration = Duration::from_secs(2);
/// For the lines about single features.
pub(crate) const BRIEFLY: Duration = Duration::from_secs(3);
pub(crate) const BRIEF_WARM_UP: Duration = Duration::from_millis(500);

pub(crate) fn report(name: &str, rate: f64, base: Option<f64>, of: &str) {
    let ratio = base.map_or_else(String::new, |base| {
        format!("  {:.0} % {of}", 100.0 * rate / base)
    });
    println!("{name:<32} {rate:>9.0} /s{ratio}");
}

/// Sends one request and reads one answer. As little as possible, so that the load costs little of
/// the processors that the server wants.
pub(crate) async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::with_capacity(4096);
    loop {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "the server hung up");
        if let Some(end) = end_of(&answer) {
            answer.truncate(end);
            return answer;
        }
    }
}

/// Where the answer ends, once its head is complete.
fn end_of(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).unwrap();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap_or("0");
    let end = head + length.trim().parse::<usize>().unwrap();
    (answer.len() >= end).then_some(end)
}

pub(crate) fn body_of(answer: &[u8]) -> Value {
    let head = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    serde_json::from_slice(&answer[head..]).unwrap()
}

/// Requests answered per second, over [`CONNECTIONS`] connections.
pub(crate) async fn load(
    server: &Server,
    users: &[Value],
    request: &impl Fn(&Value, u64) -> Vec<u8>,
) -> f64 {
    load_for(server.address, users, request, (64, WARM_UP, MEASURED)).await
}

/// Like [`load`], with so many different requests on each connection.
pub(crate) async fn load_many(
    server: &Server,
    users: &[Value],
    different: u64,
    request: &impl Fn(&Value, u64) -> Vec<u8>,
) -> f64 {
    load_for(
        server.address,
        users,
        request,
        (different, WARM_UP, MEASURED),
    )
    .await
}

pub(crate) async fn load_for(
    address: SocketAddr,
    users: &[Value],
    request: &impl Fn(&Value, u64) -> Vec<u8>,
    (different, warm_up, measured): (u64, Duration, Duration),
) -> f64 {
    let count = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for user in users {
        let requests: Vec<Vec<u8>> = (0..different).map(|n| request(user, n)).collect();
        let (count, done) = (Arc::clone(&count), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            for request in requests.iter().cycle() {
                let answer = exchange(&mut stream, request).await;
                assert!(
                    answer.starts_with(b"HTTP/1.1 200"),
                    "{}",
                    String::from_utf8_lossy(&answer)
                );
                count.fetch_add(1, Ordering::Relaxed);
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        }));
    }
    tokio::time::sleep(warm_up).await;
    let (before, begun) = (count.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(measured).await;
    let rate = (count.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64();
    done.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    rate
}
