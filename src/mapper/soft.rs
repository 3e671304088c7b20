//! The soft mapper: what a processor's page tables would say, in plain memory. No system call, no signal: whoever wants to
//! touch a page asks [`Soft::translate`], and has the pager serve the fault if it says no.
//!
//! It holds callers to the protocol: what must be shown is shown, and nothing is shown twice. A breach is counted.
#![forbid(unsafe_code)]

use super::{Mapper, Pages};
use crate::frames::Arena;
use crate::index::FrameIndex;
use crate::page::Access;
use crate::sys::memory::Protection;
use crate::sys::{Errno, Result};
use core::sync::atomic::{AtomicU64, Ordering};

/// One region's page table for a processor that does not exist. Each word: 1 + frame, shifted over three bits of
/// [`Protection`]; 0 for a page that is not shown.
pub struct Soft<'t> {
    table: &'t [AtomicU64],
    changes: AtomicU64,
    breaches: AtomicU64,
}

/// A page does not allow the access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

const READ: u64 = 1;
const WRITE: u64 = 2;

fn bits(protection: Protection) -> u64 {
    match protection {
        Protection::None => 0,
        Protection::Read | Protection::ReadExecute => READ,
        Protection::ReadWrite | Protection::ReadWriteExecute => READ | WRITE,
    }
}

impl<'t> Soft<'t> {
    /// Nothing is shown. `table` has a word of zero for each page.
    pub const fn new(table: &'t [AtomicU64]) -> Soft<'t> {
        Soft { table, changes: AtomicU64::new(0), breaches: AtomicU64::new(0) }
    }

    /// The frame of page `page` if it is shown and allows `access`.
    pub fn translate(&self, page: u64, access: Access) -> core::result::Result<FrameIndex, Closed> {
        // Acquire: pairs with the release in `set`; who gets the frame sees the page's bytes in it.
        let word = self.table.get(page as usize).map_or(0, |word| word.load(Ordering::Acquire));
        let wanted = if access == Access::Write { READ | WRITE } else { READ };
        if word >> 3 != 0 && word & wanted == wanted {
            Ok(FrameIndex::new((word >> 3) as u32 - 1))
        } else {
            Err(Closed)
        }
    }

    /// How many changes there were, and how many of them broke the protocol.
    pub fn counts(&self) -> (u64, u64) {
        (self.changes.load(Ordering::Relaxed), self.breaches.load(Ordering::Relaxed))
    }

    /// How many mappings the kernel would keep: runs of pages in neighbouring frames with one protection, and the gaps.
    pub fn mappings(&self) -> u64 {
        let words = self.table.iter().map(|word| word.load(Ordering::Relaxed));
        let mut before = None;
        words
            .filter(|word| {
                let joined = match before {
                    Some(0) => *word == 0,
                    Some(last) => *word == last + (1 << 3),
                    None => false,
                };
                before = Some(*word);
                !joined
            })
            .count() as u64
    }

    fn set(&self, pages: &Pages, word: impl Fn(u64, u64) -> Option<u64>) -> Result<()> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        for i in 0..pages.n {
            let Some(entry) = self.table.get((pages.first.get() + i) as usize) else {
                return Err(Errno(libc::EFAULT));
            };
            let was = entry.load(Ordering::Relaxed);
            let Some(is) = word(i, was) else {
                self.breaches.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            // Release: pairs with `translate`.
            entry.store(is, Ordering::Release);
        }
        Ok(())
    }
}

impl Mapper for Soft<'_> {
    fn show(&self, _arena: &Arena, pages: &Pages, frame: FrameIndex, protection: Protection) -> Result<()> {
        self.set(pages, |i, _| Some((u64::from(frame.get()) + 1 + i) << 3 | bits(protection)))
    }

    fn protect(&self, pages: &Pages, protection: Protection) -> Result<()> {
        self.set(pages, |_, was| (was != 0).then_some(was & !7 | bits(protection)))
    }

    fn hide(&self, pages: &Pages) -> Result<()> {
        self.set(pages, |_, _| Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::PageNumber;

    #[test]
    fn it_says_what_a_processor_would() {
        let table: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
        let soft = Soft::new(&table);
        let pages = Pages { address: 0, first: PageNumber::new(2), n: 3, page_shift: 12 };
        assert_eq!(soft.translate(2, Access::Read), Err(Closed));
        assert_eq!(soft.mappings(), 1);
        soft.set(&pages, |i, _| Some((7 + i) << 3 | READ)).unwrap();
        assert_eq!(soft.translate(3, Access::Read), Ok(FrameIndex::new(7)));
        assert_eq!(soft.translate(3, Access::Write), Err(Closed));
        assert_eq!(soft.mappings(), 3, "a run of neighbours between two gaps");
        soft.protect(&Pages { n: 1, ..pages }, Protection::ReadWrite).unwrap();
        assert_eq!(soft.translate(2, Access::Write), Ok(FrameIndex::new(6)));
        assert_eq!(soft.mappings(), 4);
        soft.hide(&pages).unwrap();
        assert_eq!((soft.translate(2, Access::Read), soft.counts()), (Err(Closed), (3, 0)));
        soft.protect(&pages, Protection::Read).unwrap();
        assert_eq!(soft.counts(), (4, 3), "what is not shown cannot be protected");
        assert!(soft.hide(&Pages { first: PageNumber::new(7), n: 2, ..pages }).is_err());
    }
}
