//! The pager's socket: where it is, that there is only one, and who is let in.
//!
//! The directory belongs to the user and nobody else may enter it; whoever connects must be the same user
//! all the same. A lock beside the socket is held for the life of the pager, so a socket that was
//! left behind by a pager that died is told from one that is in use. All of it goes when the pager ends.

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
    socket: OwnedFd,
    place: Place,
}

/// Where the socket is, for this pager alone. Nothing of it stays behind.
struct Place {
    path: PathBuf,
    _lock: File,
    /// The directory, if it was made for the socket.
    made: Option<PathBuf>,
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
        let made = make_private(directory)?.then(|| directory.to_owned());
        let place = Place { _lock: lock_beside(&path)?, path, made };
        let path = &place.path;
        let _ = std::fs::remove_file(path);
        let address = SocketAddrUnix::new(path).with_context(|| format!("{}: too long for a socket", path.display()))?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, FLAGS, None).context("cannot make a socket")?;
        bind(&socket, &address).with_context(|| format!("cannot make the socket {}", path.display()))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listen(&socket, BACKLOG).with_context(|| format!("cannot listen at {}", path.display()))?;
        Ok(Listener { socket, place })
    }

    /// The socket's name.
    pub fn path(&self) -> &Path {
        &self.place.path
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

impl Drop for Place {
    fn drop(&mut self) {
        // The lock is held until after this, so no other pager's files are taken.
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(lock_name(&self.path));
        // It stays if there is anything else in it.
        let _ = self.made.as_ref().map(std::fs::remove_dir);
    }
}

/// The directory, made for its owner alone if it is not there, and whether it was made; refused if others may enter
/// it.
fn make_private(directory: &Path) -> Result<bool> {
    let shown = directory.display();
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => return Ok(true),
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
    Ok(false)
}

fn lock_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn lock_beside(path: &Path) -> Result<File> {
    let name = lock_name(path);
    loop {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&name);
        let file = file.with_context(|| format!("cannot make {}", name.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another pager listens at {}: stop it, or choose another --socket", path.display());
        }
        // A pager that ended between the two has taken its lock away: then this is nobody's name any more.
        let named = std::fs::metadata(&name).map(|found| found.ino());
        if named.ok() == Some(file.metadata().with_context(|| format!("cannot look at {}", name.display()))?.ino()) {
            return Ok(file);
        }
    }
}
