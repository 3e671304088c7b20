//! The pager's socket: where it is, that there is only one, and who is let in.
//!
//! The directory belongs to the user and nobody else may enter it; whoever connects must be the same user
//! all the same. A lock beside the socket is held for the life of the pager, so a socket that was
//! left behind by a pager that died is told from one that is in use.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, Context, Result};
use external_pager::protocol::SOCKET_VARIABLE;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use rustix::fs::{flock, FlockOperation};
use rustix::io::Errno;
use rustix::net::{accept_with, bind, listen, socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::events::say;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;
/// How long to wait when the system is short of something.
const SHORTAGE: Duration = Duration::from_millis(100);
const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// A socket that applications connect to.
pub struct Listener {
    path: PathBuf,
    socket: OwnedFd,
    _lock: File,
}

/// Where the socket is unless somebody says otherwise; applications look in the same places.
pub fn default_path() -> PathBuf {
    if let Some(path) = std::env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty()) {
        return path.into();
    }
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir).join("vm-pager/socket"),
        None => format!("/tmp/vm-pager-{}/socket", geteuid()).into(),
    }
}

impl Listener {
    /// Makes the socket, and its directory if that is not there.
    pub fn open(path: PathBuf) -> Result<Listener> {
        let directory = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        make_private(directory)?;
        let lock = lock_beside(&path)?;
        let _ = std::fs::remove_file(&path);
        let address = SocketAddrUnix::new(&path).with_context(|| format!("{}: too long for a socket", path.display()))?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, FLAGS, None).context("cannot make a socket")?;
        bind(&socket, &address).with_context(|| format!("cannot make the socket {}", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        listen(&socket, BACKLOG).with_context(|| format!("cannot listen at {}", path.display()))?;
        Ok(Listener { path, socket, _lock: lock })
    }

    /// The socket's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For poll.
    pub fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// The next of this user's processes that wants in, with its id; `None` when nobody waits.
    pub fn accept(&self) -> Option<(OwnedFd, i32)> {
        loop {
            let accepted = match accept_with(&self.socket, FLAGS) {
                Ok(accepted) => accepted,
                Err(Errno::AGAIN) => return None,
                // It is gone again.
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error) => {
                    // The system has no descriptors or memory left: others free some in time.
                    say(format_args!("cannot accept an application: {error}"));
                    std::thread::sleep(SHORTAGE);
                    return None;
                }
            };
            let ours = geteuid().as_raw();
            match getsockopt(&accepted, PeerCredentials) {
                Ok(peer) if peer.uid() == ours => return Some((accepted, peer.pid())),
                Ok(peer) => {
                    let (process, user) = (peer.pid(), peer.uid());
                    say(format_args!("refused process {process}: it belongs to user {user}, the pager to user {ours}"));
                }
                Err(error) => say(format_args!("refused a process that does not say who it is: {error}")),
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The directory, made for its owner alone if it is not there; refused if others may enter it.
fn make_private(directory: &Path) -> Result<()> {
    let shown = directory.display();
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("cannot make the directory {shown} of the socket")),
    }
    let found = std::fs::symlink_metadata(directory).with_context(|| format!("cannot look at {shown}"))?;
    if !found.is_dir() {
        bail!("{shown} is no directory");
    }
    if found.uid() != geteuid().as_raw() {
        bail!("the directory {shown} of the socket belongs to user {}, not to {}", found.uid(), geteuid());
    }
    if found.mode() & 0o077 != 0 {
        bail!("others may enter the directory {shown} of the socket (mode {:o}): chmod 700 {shown}", found.mode() & 0o777);
    }
    Ok(())
}

fn lock_beside(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&name);
    let file = file.with_context(|| format!("cannot make {}", name.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("another pager listens at {}: stop it, or choose another --socket", path.display());
    }
    Ok(file)
}
