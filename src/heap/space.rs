//! The search for room: first fit over the summaries of groups and pages.
//!
//! Summaries are exact once measured and forgotten at every change, so a search measures what
//! changed since the last one and skips the rest.

use super::granules::{self, PER_WORD};
use super::Ground;
use crate::page::table::{FreeRuns, Group, Page, Usage, GROUP_PAGES};

/// Where a free run was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// First granule.
    pub start: u64,
    /// Granules.
    pub len: u64,
}

/// A run that grows while the search passes neighbouring free space.
struct Runner {
    start: u64,
    len: u64,
    wanted: u64,
    align: u64,
}

impl Runner {
    /// The run goes on for `n` granules; the aligned start, as soon as it is long enough.
    fn extend(&mut self, n: u64) -> Option<u64> {
        self.len += n;
        let start = aligned(self.start, self.align);
        (start + self.wanted <= self.start + self.len).then_some(start)
    }

    /// The run ends, and the next one begins at `start`.
    fn restart(&mut self, start: u64) {
        self.start = start;
        self.len = 0;
    }
}

/// The first multiple of `align`, a power of two, from `at` on.
fn aligned(at: u64, align: u64) -> u64 {
    let below = align.wrapping_sub(1);
    at.wrapping_add(below) & !below
}

fn words_of_page(ground: &impl Ground) -> u64 {
    (1 << ground.page_shift()) / PER_WORD
}

/// The free runs of a page, measured now if need be. The last group may have more pages than the
/// region: those are never free.
pub fn page_runs(ground: &impl Ground, number: u64, page: &Page) -> FreeRuns {
    if number >= ground.pages() {
        return FreeRuns::default();
    }
    match page.usage() {
        Usage::Free => FreeRuns::all(1 << ground.page_shift()),
        Usage::Large { .. } | Usage::Tail { .. } | Usage::Slab { .. } => FreeRuns::default(),
        Usage::Blocks(Some(runs)) => runs,
        Usage::Blocks(None) => {
            let words = words_of_page(ground);
            let runs = granules::free_runs(ground, number * words, words);
            page.set_usage(Usage::Blocks(Some(runs)));
            runs
        }
    }
}

/// The free runs of a group, measured now if need be.
fn group_runs(ground: &impl Ground, number: u64, group: &Group) -> FreeRuns {
    if let Some(runs) = group.free_runs() {
        return runs;
    }
    let granules = 1 << ground.page_shift();
    let (mut prefix, mut max, mut run) = (None, 0, 0);
    for (first, page) in (number * GROUP_PAGES..).zip(&group.pages) {
        if page.is_full() {
            prefix = prefix.or(Some(run));
            max = max.max(run);
            run = 0;
            continue;
        }
        let runs = page_runs(ground, first, page);
        run += runs.prefix;
        if runs.prefix != granules {
            prefix = prefix.or(Some(run));
            max = max.max(run).max(runs.max);
            run = runs.suffix;
        }
    }
    let runs = FreeRuns { prefix: prefix.unwrap_or(run), max: max.max(run), suffix: run };
    group.set_free_runs(runs);
    runs
}

/// The lowest place for `wanted` granules at a multiple of `align`, in the groups from `first` on.
///
/// Groups that are not backed are free. Returns the start, which may lie before the region's end
/// only; `None` when there is no such place.
pub fn first_fit(ground: &impl Ground, wanted: u64, align: u64, first: u64) -> Option<u64> {
    let shift = ground.page_shift();
    let granules = 1u64 << shift;
    let group_len = granules * GROUP_PAGES;
    let end = ground.pages() * granules;
    let mut run = Runner { start: first * group_len, len: 0, wanted, align };
    for number in first..ground.backed_groups() {
        let group = ground.group(number);
        let base = number * group_len;
        let runs = group_runs(ground, number, group);
        if runs.prefix == group_len {
            if let Some(start) = run.extend(group_len) {
                return (start + wanted <= end).then_some(start);
            }
            continue;
        }
        if let Some(start) = run.extend(runs.prefix) {
            return Some(start);
        }
        if runs.max >= wanted {
            if let Some(start) = fit_in_group(ground, base, group, wanted, align) {
                return Some(start);
            }
        }
        run.restart(base + group_len - runs.suffix);
        if let Some(start) = run.extend(runs.suffix) {
            return (start + wanted <= end).then_some(start);
        }
    }
    let reached = run.start + run.len;
    let start = run.extend(end.checked_sub(reached)?)?;
    (start + wanted <= end).then_some(start)
}

fn fit_in_group(ground: &impl Ground, base: u64, group: &Group, wanted: u64, align: u64) -> Option<u64> {
    let granules = 1u64 << ground.page_shift();
    let mut run = Runner { start: base, len: 0, wanted, align };
    for (i, page) in (0..).zip(&group.pages) {
        let first = base + i * granules;
        if page.is_full() {
            run.restart(first + granules);
            continue;
        }
        let runs = page_runs(ground, first >> ground.page_shift(), page);
        if let Some(start) = run.extend(runs.prefix) {
            return Some(start);
        }
        if runs.prefix == granules {
            continue;
        }
        if runs.max >= wanted {
            if let Some(start) = fit_in_page(ground, first, wanted, align) {
                return Some(start);
            }
        }
        run.restart(first + granules - runs.suffix);
        if let Some(start) = run.extend(runs.suffix) {
            return Some(start);
        }
    }
    None
}

fn fit_in_page(ground: &impl Ground, first: u64, wanted: u64, align: u64) -> Option<u64> {
    let end = first + (1 << ground.page_shift());
    let mut at = first;
    while at < end {
        let len = granules::free_from(ground, at, end);
        let start = aligned(at, align);
        if start + wanted <= at + len {
            return Some(start);
        }
        at += len;
        if at < end {
            at += granules::taken_from(ground, at, end);
        }
    }
    None
}

/// The first free run of at least `wanted` granules in a page, from `at` on.
pub fn next_run(ground: &impl Ground, at: u64, end: u64, wanted: u64) -> Option<Room> {
    let mut at = at;
    while at < end {
        let len = granules::free_from(ground, at, end);
        if len >= wanted {
            return Some(Room { start: at, len });
        }
        at += len;
        if at < end {
            at += granules::taken_from(ground, at, end);
        }
    }
    None
}

/// The first page from `from` on that is a slab which may have room.
pub fn next_roomy(ground: &impl Ground, from: u64) -> Option<u64> {
    let mut first = from % GROUP_PAGES;
    for number in from / GROUP_PAGES..ground.backed_groups() {
        if let Some(page) = ground.group(number).roomy_from(first) {
            return Some(number * GROUP_PAGES + page);
        }
        first = 0;
    }
    None
}

/// The first page from `from` on that is free; beyond the backed groups all are.
pub fn next_free_page(ground: &impl Ground, from: u64) -> u64 {
    let backed = ground.backed_groups();
    let mut first = from % GROUP_PAGES;
    for number in from / GROUP_PAGES..backed {
        let group = ground.group(number);
        if !group.has(Group::TAKEN) {
            let free = |page: &Page| page.usage() == Usage::Free;
            if let Some(page) = group.pages.iter().skip(first as usize).position(free) {
                return number * GROUP_PAGES + first + page as u64;
            }
            if first == 0 {
                group.mark(Group::TAKEN);
            }
        }
        first = 0;
    }
    from.max(backed * GROUP_PAGES)
}
