//! The settings: one table of every variable, and the reading of an environment against it.
//!
//! [`OPTIONS`] is the only list of variables: the runner's flags, its help and the documentation are
//! made from it. A setting is checked as far as it can be without touching the system, whose numbers
//! the caller brings along in [`System`].
//!
//! Invariants of every [`Config`]: arena, swap, heap and shared region are whole pages; the arena has
//! at least [`MIN_FRAMES`] frames beside the shared region; page numbers, frame numbers and slot
//! numbers fit 32 bits; `heap` is not zero.
#![forbid(unsafe_code)]

mod error;
mod options;
#[cfg(test)]
mod tests;

pub use error::{ConfigError, Problem};
pub use options::{Kind, OptionSpec, Variable, OPTIONS, PREFIX};

use crate::policy::{by_name, Policy};
use crate::units::{parse_size, round_down, round_up, SizeError, SYSTEM_PAGE};

/// The exit status of a program that does not start because of a bad setting (EX_CONFIG).
pub const EXIT_BAD_CONFIG: i32 = 78;

/// With fewer frames than this beside the shared region, a few threads would live-lock.
pub const MIN_FRAMES: u64 = 32;

/// The shared region, when nobody asked for a size.
const DEFAULT_SHARED_PAGES: u64 = 4;

/// The page size grows by itself until the arena has no more frames than this.
pub const MAX_AUTO_FRAMES: u64 = 524_288;

/// The largest page.
pub const MAX_PAGE: u64 = 1 << 20;

/// The largest swap file and the largest region, in bytes.
pub const MAX_SPACE: u64 = 16 << 40;

/// The largest number of pages in a region or a swap file: numbers and a "none" fit 32 bits.
const MAX_PAGES: u64 = u32::MAX as u64 - 1;

/// What the settings are checked against, measured by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct System {
    /// The size of the kernel's pages.
    pub page: u64,
    /// The size of physical memory.
    pub ram: u64,
}

/// The settings of a run. Texts are borrowed from the environment.
#[derive(Clone, Copy, Debug)]
pub struct Config<'e> {
    /// All the RAM that the heap may use: bookkeeping, page frames and the shared region.
    pub arena: u64,
    /// The size of the swap file; zero: no swap.
    pub swap: u64,
    /// The virtual size of each thread's region.
    pub heap: u64,
    /// The size of the shared region, the last pages of the arena.
    pub shared: u64,
    /// The page size.
    pub page: u64,
    /// Who chooses the pages that leave.
    pub policy: &'static dyn Policy,
    /// The directory of the swap file.
    pub swap_dir: &'e [u8],
    /// Where statistics go: `-` is a table on stderr, anything else a file.
    pub stats: Option<&'e [u8]>,
    /// The file of the fault trace.
    pub trace: Option<&'e [u8]>,
}

/// Reads the settings from an environment, given as its `NAME=value` entries.
pub fn from_environment<'e>(entries: impl Iterator<Item = &'e [u8]>, system: &System) -> Result<Config<'e>, ConfigError<'e>> {
    let values = Values::collect(entries)?;
    let policy = values.policy()?;

    let asked_page = values.page(system)?;
    let asked_arena = values.arena(system)?;
    let page = asked_page.unwrap_or_else(|| page_for(asked_arena, system));
    let arena = round_down(asked_arena, page);
    let shared = match values.text(Variable::Shared) {
        Some(_) => values.pages(Variable::Shared, page)?,
        None => DEFAULT_SHARED_PAGES * page,
    };
    let minimum = shared.saturating_add(MIN_FRAMES * page);
    if arena < minimum {
        return Err(values.arena_too_small(arena, page, minimum));
    }

    let swap = values.pages(Variable::Swap, page)?;
    let heap = match values.text(Variable::Heap) {
        None => arena.saturating_add(swap).min(MAX_PAGES * page),
        Some(b"arena") => arena,
        Some(_) => values.pages(Variable::Heap, page)?,
    };
    if heap == 0 {
        return Err(values.error(Variable::Heap, Problem::Zero));
    }

    Ok(Config {
        arena,
        swap,
        heap,
        shared,
        page,
        policy,
        swap_dir: values.text(Variable::SwapDir).or(values.tmpdir).unwrap_or(b"/tmp"),
        stats: values.text(Variable::Stats),
        trace: values.text(Variable::Trace),
    })
}

/// The page size for an arena of this size, when nobody asked for one.
fn page_for(arena: u64, system: &System) -> u64 {
    let mut page = system.page.max(SYSTEM_PAGE as u64);
    while arena / page > MAX_AUTO_FRAMES && page < MAX_PAGE {
        page *= 2;
    }
    page
}

/// The texts of the settings as they were found, by [`Variable`].
struct Values<'e> {
    texts: [Option<&'e [u8]>; OPTIONS.len()],
    tmpdir: Option<&'e [u8]>,
}

impl<'e> Values<'e> {
    /// Picks our variables out of the environment; of several entries of one name the first counts,
    /// as for getenv.
    fn collect(entries: impl Iterator<Item = &'e [u8]>) -> Result<Self, ConfigError<'e>> {
        let mut values = Values { texts: [None; OPTIONS.len()], tmpdir: None };
        for entry in entries {
            let Some(equals) = entry.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            let (name, rest) = entry.split_at(equals);
            let text = rest.get(1..).unwrap_or_default();
            if name == b"TMPDIR" {
                let text = Some(text).filter(|text| !text.is_empty());
                values.tmpdir = values.tmpdir.or(text);
            } else if name.starts_with(PREFIX.as_bytes()) {
                let variable = options::find(name).ok_or(ConfigError::Unknown { name, value: text })?;
                if text.is_empty() {
                    return Err(ConfigError::bad(variable, text, Problem::Empty));
                }
                if let Some(place) = values.texts.get_mut(variable as usize) {
                    *place = place.or(Some(text));
                }
            }
        }
        Ok(values)
    }

    /// What was set, if anything was.
    fn text(&self, variable: Variable) -> Option<&'e [u8]> {
        self.texts.get(variable as usize).copied().flatten()
    }

    /// What was set, else the default.
    fn text_or_default(&self, variable: Variable) -> &'e [u8] {
        self.text(variable).unwrap_or(variable.spec().default.as_bytes())
    }

    fn error(&self, variable: Variable, problem: Problem) -> ConfigError<'e> {
        ConfigError::bad(variable, self.text_or_default(variable), problem)
    }

    fn policy(&self) -> Result<&'static dyn Policy, ConfigError<'e>> {
        by_name(self.text_or_default(Variable::Policy)).ok_or_else(|| self.error(Variable::Policy, Problem::NoSuchPolicy))
    }

    fn size(&self, variable: Variable) -> Result<u64, ConfigError<'e>> {
        let text = self.text_or_default(variable);
        parse_size(text).map_err(|error| {
            let problem = match error {
                SizeError::TooLarge => Problem::LargerThan(MAX_SPACE),
                SizeError::Empty | SizeError::NotASize => Problem::NotASize,
            };
            self.error(variable, problem)
        })
    }

    /// A size in whole pages, rounded up.
    fn pages(&self, variable: Variable, page: u64) -> Result<u64, ConfigError<'e>> {
        let size = self.size(variable)?;
        if size > MAX_SPACE {
            return Err(self.error(variable, Problem::LargerThan(MAX_SPACE)));
        }
        let rounded = round_up(size, page).ok_or_else(|| self.error(variable, Problem::LargerThan(MAX_SPACE)))?;
        Ok(rounded.min(MAX_PAGES * page))
    }

    /// The page size, if one was asked for.
    fn page(&self, system: &System) -> Result<Option<u64>, ConfigError<'e>> {
        if self.text(Variable::Page).is_none() {
            return Ok(None);
        }
        let page = self.size(Variable::Page)?;
        if page.is_power_of_two() && (system.page..=MAX_PAGE).contains(&page) {
            Ok(Some(page))
        } else {
            Err(self.error(Variable::Page, Problem::NotAPageSize(system.page)))
        }
    }

    /// The arena as it was asked for.
    fn arena(&self, system: &System) -> Result<u64, ConfigError<'e>> {
        let too_large = || self.error(Variable::Arena, Problem::LargerThanMemory(system.ram));
        match parse_size(self.text_or_default(Variable::Arena)) {
            Ok(arena) if arena <= system.ram => Ok(arena),
            Ok(_) | Err(SizeError::TooLarge) => Err(too_large()),
            Err(_) => Err(self.error(Variable::Arena, Problem::NotASize)),
        }
    }

    /// Blames the variable that was set: a huge page or shared region in the default arena is not the
    /// arena's fault.
    fn arena_too_small(&self, arena: u64, page: u64, minimum: u64) -> ConfigError<'e> {
        let pages = MIN_FRAMES + DEFAULT_SHARED_PAGES;
        if self.text(Variable::Arena).is_some() {
            self.error(Variable::Arena, Problem::SmallerThan(minimum))
        } else if pages * page > arena {
            self.error(Variable::Page, Problem::TooFewPages { arena, pages })
        } else {
            self.error(Variable::Shared, Problem::LeavesNoFrames { arena })
        }
    }
}
