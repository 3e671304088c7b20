//! Working sets (Denning, CACM 1968): W(t, tau) is how many pages are used by the last tau references
//! up to t, fewer at the start.

use crate::trace::{Reference, TraceError};
use crate::{Error, Numbering};
use std::collections::VecDeque;

/// The working sets of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkingSet {
    /// The sum of W(t, tau) over all t; divided by the references it is the mean.
    pub sum: u64,
    /// The largest.
    pub max: u64,
}

/// The working sets with a window of so many references, which are held in memory.
pub fn working_set(tau: usize, references: impl IntoIterator<Item = Result<Reference, TraceError>>) -> Result<WorkingSet, Error> {
    let mut numbering = Numbering::default();
    let (mut window, mut uses, mut size) = (VecDeque::new(), Vec::<u32>::new(), 0);
    let mut found = WorkingSet::default();
    for reference in references {
        let page = numbering.number(reference?.page)? as usize;
        uses.resize(uses.len().max(page + 1), 0);
        size += u64::from(uses[page] == 0);
        uses[page] += 1;
        window.push_back(page);
        if window.len() > tau {
            if let Some(old) = window.pop_front() {
                uses[old] -= 1;
                size -= u64::from(uses[old] == 0);
            }
        }
        found.sum += size;
        found.max = found.max.max(size);
    }
    Ok(found)
}
