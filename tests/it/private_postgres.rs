//! Real servers: started, used, killed, and looked for afterwards.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use muniment::embedded::postgres::{Durability, Lifetime, PrivatePostgres, PrivatePostgresError};
use sqlx::{Connection, Executor, PgConnection};

const FAST: Lifetime = Lifetime::Ephemeral(Durability::Fast);

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

/// The folder of the socket, out of a URL.
fn socket_folder(url: &str) -> PathBuf {
    url.split_once("?host=").unwrap().1.into()
}

async fn ask(url: &str, query: &str) -> String {
    let mut connection = PgConnection::connect(url).await.expect("connects");
    let answer = sqlx::query_scalar(query).fetch_one(&mut connection).await;
    connection.close().await.expect("closes");
    answer.expect("answers")
}

async fn run(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.expect("connects");
    connection.execute(statement).await.expect("runs");
    connection.close().await.expect("closes");
}

/// Waits until no process mentions `folder` and it is gone.
fn assert_gone(folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let processes = mentioning(folder);
        if processes.is_empty() && !folder.exists() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{} exists: {}, processes: {processes:?}",
            folder.display(),
            folder.exists()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn mentioning(folder: &Path) -> Vec<(u32, String)> {
    let folder = folder.to_str().unwrap();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            line.contains(folder).then_some((pid, line))
        })
        .collect()
}

/// A process that owns a server, in a process group of its own as under a shell.
struct Owner {
    process: Child,
    url: String,
}

impl Owner {
    fn start(arguments: &[&Path]) -> Self {
        Self::spawn(Command::new(owner_program()).arg(cache()).args(arguments))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("starts");
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        assert!(url.starts_with("postgres://"), "no URL: {url:?}");
        Self {
            process,
            url: url.trim().to_owned(),
        }
    }

    fn kill(mut self, signal: &str) {
        // The whole group, as a terminal does.
        let group = format!("-{}", self.process.id());
        let status = Command::new("kill")
            .args(["-s", signal, "--", &group])
            .status();
        assert!(status.unwrap().success());
        self.process.wait().unwrap();
    }
}

fn owner_program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let folder = tests.parent().unwrap().parent().unwrap();
    folder.join("examples/private_postgres")
}

#[tokio::test]
async fn an_ephemeral_server_answers_and_leaves_nothing() {
    let started = Instant::now();
    let postgres = PrivatePostgres::start(FAST, &cache()).await.unwrap();
    eprintln!("ephemeral, fast: ready after {:?}", started.elapsed());

    let url = postgres.url("postgres");
    assert_eq!(ask(&url, "show fsync").await, "off");
    assert_eq!(ask(&url, "show server_encoding").await, "UTF8");
    assert_eq!(ask(&url, "show max_connections").await, "200");
    assert_eq!(ask(&url, "show listen_addresses").await, "");
    assert_eq!(ask(&url, "select upper('\u{e9}')").await, "\u{c9}");

    run(&url, "create database \"a b/c+d%\"").await;
    let odd = postgres.url("a b/c+d%");
    assert_eq!(
        ask(&odd, "select current_database()::text").await,
        "a b/c+d%"
    );

    let psql = Command::new(postgres.bin_dir().join("psql"))
        .args([odd.as_str(), "-Atc", "select current_database()"])
        .output();
    if let Ok(psql) = psql {
        assert_eq!(String::from_utf8_lossy(&psql.stdout), "a b/c+d%\n");
    }

    let folder = socket_folder(&url);
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    // An open connection must not hold up the stop.
    let _idle = PgConnection::connect(&url).await.unwrap();
    let stopping = Instant::now();
    postgres.stop().await.unwrap();
    eprintln!("stopped after {:?}", stopping.elapsed());
    assert!(!folder.exists());
    assert!(mentioning(&folder).is_empty());
}

#[tokio::test]
async fn full_durability_is_for_benchmarks() {
    let lifetime = Lifetime::Ephemeral(Durability::Full);
    let started = Instant::now();
    let postgres = PrivatePostgres::start(lifetime, &cache()).await.unwrap();
    eprintln!("ephemeral, full: ready after {:?}", started.elapsed());
    let url = postgres.url("postgres");
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(ask(&url, &format!("show {setting}")).await, "on");
    }
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_drop_stops_it_too() {
    let postgres = PrivatePostgres::start(FAST, &cache()).await.unwrap();
    let folder = socket_folder(&postgres.url("postgres"));
    drop(postgres);
    assert_gone(&folder);
}

#[tokio::test]
async fn an_abandoned_start_leaves_nothing() {
    let (before, cache) = (run_folders(), cache());
    for milliseconds in [5, 50, 200, 600] {
        let start = PrivatePostgres::start(FAST, &cache);
        let _ = tokio::time::timeout(Duration::from_millis(milliseconds), start).await;
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    // Other tests come and go meanwhile: what is there now must not stay.
    for folder in run_folders() {
        if !before.contains(&folder) {
            while folder.exists() {
                assert!(Instant::now() < deadline, "{} stays", folder.display());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn run_folders() -> Vec<PathBuf> {
    fs::read_dir(std::env::temp_dir())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("/muniment-postgres-"))
        .collect()
}

/// Whether this process was started with a signal ignored, as `nohup` does; its children are, too.
fn is_ignored(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
    mask & (1 << (number - 1)) != 0
}

#[test]
fn a_killed_owner_leaves_nothing() {
    let signals = [("KILL", 9), ("INT", 2), ("TERM", 15), ("HUP", 1)];
    for (signal, _) in signals
        .into_iter()
        .filter(|(_, number)| !is_ignored(*number))
    {
        let owner = Owner::start(&[]);
        let folder = socket_folder(&owner.url);
        assert!(!mentioning(&folder).is_empty());
        owner.kill(signal);
        assert_gone(&folder);
    }
}

#[tokio::test]
async fn a_kept_cluster_survives_its_killed_owner() {
    let place = tempfile::tempdir_in("/var/tmp").unwrap();
    open(place.path());
    let kept = place.path().join("a project/.muniment/postgres");

    let owner = Owner::start(&[&kept]);
    let url = owner.url.clone();
    assert_eq!(ask(&url, "show fsync").await, "on");
    run(&url, "create table t as select 'kept' as word").await;
    owner.kill("KILL");

    // At once: its watchdog is still stopping the server.
    let started = Instant::now();
    let lifetime = Lifetime::Kept(kept.clone());
    let postgres = PrivatePostgres::start(lifetime, &cache()).await.unwrap();
    eprintln!(
        "kept, old one stopped first: ready after {:?}",
        started.elapsed()
    );
    assert_eq!(
        ask(&postgres.url("postgres"), "select word from t").await,
        "kept"
    );
    assert_gone(&socket_folder(&url));

    let second = PrivatePostgres::start(Lifetime::Kept(kept.clone()), &cache()).await;
    let error = second.unwrap_err();
    assert!(matches!(error, PrivatePostgresError::AlreadyRunning { .. }));
    assert!(!error.to_string().contains('\n'));
    postgres.stop().await.unwrap();

    // The process id in a stale file now belongs to another program: this one.
    let pid_file = kept.join("data/postmaster.pid");
    fs::write(&pid_file, format!("{}\n/elsewhere\n", std::process::id())).unwrap();
    let started = Instant::now();
    let lifetime = Lifetime::Kept(kept.clone());
    let postgres = PrivatePostgres::start(lifetime, &cache()).await.unwrap();
    eprintln!("kept: ready after {:?}", started.elapsed());
    assert_eq!(
        ask(&postgres.url("postgres"), "select word from t").await,
        "kept"
    );
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_killed_under_us_recovers() {
    let place = tempfile::tempdir_in("/var/tmp").unwrap();
    open(place.path());
    let lifetime = Lifetime::Kept(place.path().join("postgres"));
    let postgres = PrivatePostgres::start(lifetime.clone(), &cache())
        .await
        .unwrap();
    let url = postgres.url("postgres");
    run(&url, "create table t as select 'kept' as word").await;
    let everything = mentioning(&socket_folder(&url));
    assert_eq!(everything.len(), 2, "{everything:?}");
    for (pid, _) in everything {
        let status = Command::new("kill").args(["-9", &pid.to_string()]).status();
        assert!(status.unwrap().success());
    }
    drop(postgres);
    let postgres = PrivatePostgres::start(lifetime, &cache()).await.unwrap();
    assert_eq!(
        ask(&postgres.url("postgres"), "select word from t").await,
        "kept"
    );
    postgres.stop().await.unwrap();
    let _ = fs::remove_dir_all(socket_folder(&url));
}

#[tokio::test]
async fn a_start_that_fails_says_why_in_one_line() {
    let place = tempfile::tempdir_in("/var/tmp").unwrap();
    open(place.path());
    let kept = place.path().join("postgres");
    let lifetime = Lifetime::Kept(kept.clone());
    let postgres = PrivatePostgres::start(lifetime.clone(), &cache())
        .await
        .unwrap();
    postgres.stop().await.unwrap();

    fs::remove_file(kept.join("data/global/pg_control")).unwrap();
    let error = PrivatePostgres::start(lifetime.clone(), &cache())
        .await
        .unwrap_err();
    eprintln!("{error}");
    assert!(error.to_string().contains("pg_control"));
    assert!(!error.to_string().contains('\n'));

    fs::write(kept.join("data/PG_VERSION"), "9\n").unwrap();
    let error = PrivatePostgres::start(lifetime, &cache())
        .await
        .unwrap_err();
    eprintln!("{error}");
    assert!(matches!(error, PrivatePostgresError::NoBinaries { .. }));
    assert!(!error.to_string().contains('\n'));
}

#[tokio::test]
async fn a_folder_of_somebody_else_is_left_alone() {
    let place = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::write(place.path().join("letter.txt"), "").unwrap();
    let lifetime = Lifetime::Kept(place.path().to_owned());
    let error = PrivatePostgres::start(lifetime, &cache())
        .await
        .unwrap_err();
    assert!(matches!(error, PrivatePostgresError::NotOurs { .. }));
}

#[tokio::test]
async fn an_override_must_help() {
    let mut command = Command::new(owner_program());
    command
        .arg(cache())
        .env("MUNIMENT_POSTGRES_BIN", "/nowhere");
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    eprintln!("{error}");
    assert!(error.contains("/nowhere"));
}

/// As root: the folder is out of reach for the server's user.
#[tokio::test]
async fn root_may_keep_data_below_its_home() {
    let Ok(place) = tempfile::tempdir_in("/root") else {
        return;
    };
    let kept = place.path().join("postgres");
    let lifetime = Lifetime::Kept(kept.clone());
    let postgres = PrivatePostgres::start(lifetime.clone(), &cache())
        .await
        .unwrap();
    run(
        &postgres.url("postgres"),
        "create table t as select 'kept' as word",
    )
    .await;
    postgres.stop().await.unwrap();
    let data = fs::read_link(&kept).unwrap();

    let postgres = PrivatePostgres::start(lifetime.clone(), &cache())
        .await
        .unwrap();
    assert_eq!(
        ask(&postgres.url("postgres"), "select word from t").await,
        "kept"
    );
    postgres.stop().await.unwrap();

    // A dangling link is a fresh start.
    fs::remove_dir_all(&data).unwrap();
    let postgres = PrivatePostgres::start(lifetime, &cache()).await.unwrap();
    postgres.stop().await.unwrap();
    fs::remove_dir_all(fs::read_link(&kept).unwrap()).unwrap();
}

/// As root: everything works the same for somebody else.
#[test]
fn an_ordinary_user_can_own_one() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    let place = tempfile::tempdir_in("/var/tmp").unwrap();
    open(place.path());
    let program = place.path().join("owner");
    fs::copy(owner_program(), &program).unwrap();
    let mut command = Command::new(program);
    command.arg("/tmp").current_dir("/").uid(65534).gid(65534);
    let owner = Owner::spawn(&mut command);
    let folder = socket_folder(&owner.url);
    assert_eq!(fs::metadata(&folder).unwrap().uid(), 65534);
    owner.kill("KILL");
    assert_gone(&folder);
}

fn open(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}
