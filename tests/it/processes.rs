//! Killing processes, each by its id.

use std::fs;
use std::process::Command;

use crate::support::eventually;

/// The ids of the processes that a process has started and that still run.
pub(crate) fn children(parent: &str) -> Vec<String> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{parent}/task")) else {
        return Vec::new();
    };
    let lists =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let ids: String = lists.collect();
    let ids = ids.split_whitespace().map(str::to_owned);
    ids.filter(|id| is_running(id)).collect()
}

/// Kills processes without warning, and waits until they are gone.
pub(crate) async fn kill(ids: &[String]) {
    // Some may have ended by themselves, for want of the others.
    let _ = Command::new("kill").arg("-9").args(ids).output().unwrap();
    eventually("the processes are gone", || async {
        !ids.iter().any(|id| is_running(id))
    })
    .await;
}

/// Whether there is such a process, and it is not just one that nobody has asked after yet.
fn is_running(id: &str) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{id}/stat")) else {
        return false;
    };
    let state = status
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim().chars().next());
    state != Some('Z')
}
