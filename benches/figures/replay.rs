//! Rebuilding the read models from the log.

use std::time::Instant;

use muniment::security::secrets::ServerSecret;
use muniment::server;
use muniment_event_store::MasterKey;
use muniment_projections::maintenance::replay;

/// The server must be gone: this measures the replay alone.
pub(crate) async fn measure(url: &str, secret: &ServerSecret) {
    let pool = server::connect(url, 4).await.unwrap();
    let log = muniment_projections::open_log(pool, MasterKey::derive(secret.as_bytes()));
    let (mut folded, begun) = (0, Instant::now());
    let mut fold_rate = 0.0;
    replay::replay(&log, &[], |progress| {
        (folded, fold_rate) = (progress.done, progress.rate);
    })
    .await
    .unwrap();
    let rate = folded as f64 / begun.elapsed().as_secs_f64();
    println!(
        "replay of {folded:>7} events         {fold_rate:>9.0} /s folding, {rate:.0} /s with indexes and swap"
    );
}
