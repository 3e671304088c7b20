//! Does the kernel give a program privileges that its caller has not? Then the dynamic linker
//! runs in secure mode and ignores our `LD_PRELOAD` (see "Secure-execution mode" in ld.so(8)).

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::prctl;
use nix::sys::stat::Mode;
use nix::sys::statvfs::{statvfs, FsFlags};
use nix::unistd::{getgid, getuid};

/// What in a file would raise privileges.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    setuid_to: Option<u32>,
    setgid_to: Option<u32>,
    capabilities: bool,
}

/// Who runs it.
#[derive(Clone, Copy, Debug)]
struct Caller {
    uid: u32,
    gid: u32,
}

/// In what way running this file raises privileges, if it does.
pub fn raised_by(path: &Path) -> Option<&'static str> {
    if are_ignored(path) {
        return None;
    }
    let caller = Caller { uid: getuid().as_raw(), gid: getgid().as_raw() };
    reason(marks(path)?, caller)
}

/// Whether the kernel ignores all such marks here.
fn are_ignored(path: &Path) -> bool {
    let nosuid = statvfs(path).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOSUID));
    nosuid || prctl::get_no_new_privs().unwrap_or(false)
}

fn marks(path: &Path) -> Option<Marks> {
    let file = path.metadata().ok()?;
    let mode = Mode::from_bits_truncate(file.mode());
    // Without the group's execute bit, setgid has another meaning (mandatory locking).
    let setgid = mode.contains(Mode::S_ISGID | Mode::S_IXGRP);
    Some(Marks {
        setuid_to: mode.contains(Mode::S_ISUID).then(|| file.uid()),
        setgid_to: setgid.then(|| file.gid()),
        capabilities: matches!(xattr::get(path, "security.capability"), Ok(Some(_))),
    })
}

/// The kernel's rule: becoming whom one already is raises nothing, and root has all capabilities.
fn reason(marks: Marks, caller: Caller) -> Option<&'static str> {
    if marks.setuid_to.is_some_and(|uid| uid != caller.uid) {
        Some("is setuid")
    } else if marks.setgid_to.is_some_and(|gid| gid != caller.gid) {
        Some("is setgid")
    } else if marks.capabilities && caller.uid != 0 {
        Some("has file capabilities")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Caller = Caller { uid: 1000, gid: 100 };
    const ROOT: Caller = Caller { uid: 0, gid: 0 };

    #[test]
    fn setuid_raises_unless_it_is_me() {
        let marks = Marks { setuid_to: Some(0), ..Marks::default() };
        assert_eq!(reason(marks, USER), Some("is setuid"));
        assert_eq!(reason(marks, ROOT), None);
    }

    #[test]
    fn setgid_raises_unless_it_is_my_group() {
        let marks = Marks { setgid_to: Some(100), ..Marks::default() };
        assert_eq!(reason(marks, USER), None);
        assert_eq!(reason(marks, ROOT), Some("is setgid"));
    }

    #[test]
    fn capabilities_raise_for_all_but_root() {
        let marks = Marks { capabilities: true, ..Marks::default() };
        assert_eq!(reason(marks, USER), Some("has file capabilities"));
        assert_eq!(reason(marks, ROOT), None);
    }

    #[test]
    fn a_plain_file_raises_nothing() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert_eq!(raised_by(file.path()), None);
    }
}
