//! The control groups that this process is in.

use std::path::{Component, Path, PathBuf};

use crate::host::Host;
use crate::source::proc;

/// The folders of the groups of one controller (`cpu`, `memory`) that this process is in, the widest first; none where
/// the system does not tell.
pub(crate) fn own_folders(host: &Host, controller: &str) -> Vec<PathBuf> {
    let groups = proc::control_groups(&host.proc).unwrap_or_default();
    let root = host.sys.join("fs/cgroup");
    let mut found = Vec::new();
    for line in groups.lines() {
        // Number, controllers, path; version 2 has the number 0 and names no controllers.
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let unified = number == "0" && controllers.is_empty();
        if unified {
            found.extend(folders(&root, path));
        } else if controllers.split(',').any(|name| name == controller) {
            // Version 1 mounts each under its controllers' names, with a link for each name.
            found.extend(folders(&root.join(controller), path));
        }
    }
    found
}

/// The folder of a group and those above it, down from the mount: inside a container the group's
/// path may be that of the host, while the mount shows the container's own group.
fn folders(mount: &Path, path: &str) -> impl Iterator<Item = PathBuf> {
    let mut folder = mount.to_owned();
    let plain = Path::new(path).components().filter_map(|part| match part {
        Component::Normal(name) => Some(Some(name.to_owned())),
        // A group outside of the namespace: what is above the mount cannot be seen.
        Component::ParentDir => Some(None),
        _ => None,
    });
    let below: Vec<_> = plain.map_while(|name| name).collect();
    std::iter::once(mount.to_owned()).chain(below.into_iter().map(move |name| {
        folder.push(name);
        folder.clone()
    }))
}
