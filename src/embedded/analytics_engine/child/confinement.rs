//! What the process may touch: its data folder, the library, and what a program on Linux reads to
//! run at all. A second wall behind [`super::statement`]: a query that reached a file or the
//! network would find neither.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
};

/// Folders and files that are read: the loader's, and what the engine wants to know of the machine.
const READABLE: [&str; 18] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/mounts",
    "/proc/stat",
    "/proc/sys/vm",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/dev/urandom",
];
const WRITABLE: [&str; 1] = ["/dev/null"];

/// Confines this thread and those that it starts from now on, as far as the kernel can.
pub(super) fn confine(dir: &Path, library: &Path) {
    match restrict(dir, library) {
        Ok(RulesetStatus::FullyEnforced) => {}
        Ok(RulesetStatus::PartiallyEnforced) => {
            tracing::info!("the kernel confines the analytics engine's files, but not its network");
        }
        Ok(RulesetStatus::NotEnforced) => {
            tracing::info!("the kernel cannot confine the analytics engine: it has no Landlock");
        }
        Err(error) => tracing::warn!(%error, "the analytics engine is not confined"),
    }
}

fn restrict(dir: &Path, library: &Path) -> Result<RulesetStatus, RulesetError> {
    let abi = ABI::V5;
    let read = AccessFs::from_read(abi);
    let all = AccessFs::from_all(abi);
    // No rule allows a port: connecting and listening are forbidden, the inherited socket is not.
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .handle_access(AccessNet::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(READABLE, read))?
        .add_rules(path_beneath_rules([library], read))?
        // The engine looks up the names of functions in the program it is loaded into.
        .add_rules(path_beneath_rules(std::env::current_exe(), read))?
        .add_rules(path_beneath_rules(WRITABLE, all))?
        .add_rules(path_beneath_rules([dir], all))?
        .restrict_self()?;
    Ok(status.ruleset)
}
