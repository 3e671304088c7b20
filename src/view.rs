//! The program view of a page: what it allows, which is what the pager has opened (`READ`, `WRITE`)
//! and what the program executes.

use crate::pte::Pte;
use crate::sys::memory::Protection;

/// The protection of the page's addresses, by its entry.
pub(crate) fn protection(pte: Pte) -> Protection {
    match (pte.has(Pte::READ), pte.has(Pte::WRITE), pte.has(Pte::EXECUTE)) {
        (false, false, _) => Protection::None,
        (_, true, false) => Protection::ReadWrite,
        (_, true, true) => Protection::ReadWriteExecute,
        (true, false, false) => Protection::Read,
        (true, false, true) => Protection::ReadExecute,
    }
}
