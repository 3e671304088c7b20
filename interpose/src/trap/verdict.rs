//! How a call goes on that was looked at because of its family.

use crate::syscalls::table::Way;

/// What becomes of a call.
pub enum Verdict {
    /// It is carried out, perhaps with other arguments.
    Go(Way),
    /// It has been, with this result.
    Done(isize),
    /// The context goes elsewhere.
    Left,
}
