//! What a replay counts.

/// The columns of a row, in their order.
pub const CSV_HEADER: &str =
    "policy,frames,refs,misses,cold,refaults,evictions,writebacks,clean_evictions,swapins,ref_soft_faults,dirty_faults";

/// The counts of one replay. Pages that are dirty at the end are not written back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// References.
    pub refs: u64,
    /// Faults that need a frame: cold and refaults.
    pub misses: u64,
    /// Misses on a page that was never there.
    pub cold: u64,
    /// Misses on a page that was there before.
    pub refaults: u64,
    /// Pages that left: written back or clean.
    pub evictions: u64,
    /// Evictions of a page that was written since it came in.
    pub writebacks: u64,
    /// Evictions of others.
    pub clean_evictions: u64,
    /// Misses on a page that was written back before: reads from swap.
    pub swapins: u64,
    /// Faults on a resident page that show the policy that it is used.
    pub ref_soft_faults: u64,
    /// Faults on a resident page that show only that it is written.
    pub dirty_faults: u64,
}

impl Counts {
    /// The row of the CSV.
    pub fn csv(&self, policy: &str, frames: u32) -> String {
        let Counts { refs, misses, cold, refaults, evictions, writebacks, clean_evictions, swapins, .. } = self;
        format!(
            "{policy},{frames},{refs},{misses},{cold},{refaults},{evictions},{writebacks},{clean_evictions},{swapins},{},{}",
            self.ref_soft_faults, self.dirty_faults
        )
    }
}
