//! Owns a private Postgres until it is killed. For the tests, and to try things by hand:
//! `cargo run --example private_postgres CACHE_DIR [KEPT_FOLDER]` prints the URL and waits.

use std::path::PathBuf;

use muniment::embedded::postgres::{Durability, Lifetime, PrivatePostgres};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let cache_dir = arguments.next().ok_or("which cache folder?")?;
    let lifetime = match arguments.next() {
        Some(folder) => Lifetime::Kept(folder),
        None => Lifetime::Ephemeral(Durability::Fast),
    };
    let started = std::time::Instant::now();
    let postgres = PrivatePostgres::start(lifetime, &cache_dir).await?;
    eprintln!("ready after {:?}", started.elapsed());
    println!("{}", postgres.url("postgres"));
    std::future::pending::<()>().await;
    Ok(())
}
