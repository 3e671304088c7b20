//! The table of variables.
#![forbid(unsafe_code)]

/// What the names of all our variables begin with; nobody else's do.
pub const PREFIX: &str = "VMALLOC_";

/// What a value is, for those that complete or check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number of bytes, with `K`, `M`, `G` or `T`.
    Size,
    /// The name of a policy.
    Policy,
    /// A directory that exists.
    Directory,
    /// A file to write; `%p` becomes the process id.
    File,
}

/// One variable, and the runner's flag for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its name in the environment.
    pub variable: &'static str,
    /// The runner's flag, without the dashes.
    pub flag: &'static str,
    /// What the value is, in capitals.
    pub value: &'static str,
    /// The value when it is not set, or words that say it.
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// The kind of value.
    pub kind: Kind,
}

/// Makes [`Variable`] and [`OPTIONS`] of the table.
macro_rules! options {
    ($($name:ident: $variable:literal, $flag:literal, $value:literal, $kind:ident, $default:literal, $help:literal;)*) => {
        /// A variable: an index into [`OPTIONS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Variable { $(#[doc = $help] $name,)* }

        /// Every variable there is, in the order of [`Variable`].
        pub static OPTIONS: [OptionSpec; VARIABLES.len()] = [$(OptionSpec {
            variable: $variable,
            flag: $flag,
            value: $value,
            default: $default,
            help: $help,
            kind: Kind::$kind,
        },)*];

        const VARIABLES: [Variable; [$(Variable::$name,)*].len()] = [$(Variable::$name,)*];
    };
}

options! {
    Arena: "VMALLOC_ARENA", "arena", "SIZE", Size, "8M",
        "all the RAM that the heap may use: bookkeeping, page frames and the shared region";
    Swap: "VMALLOC_SWAP", "swap", "SIZE", Size, "16M",
        "size of the swap file; 0 means no swap";
    Heap: "VMALLOC_HEAP", "heap", "SIZE", Size, "arena + swap",
        "virtual size of each thread's region; the word arena means the size of the arena";
    Shared: "VMALLOC_SHARED", "shared", "SIZE", Size, "4 pages",
        "size of the shared region, the last pages of the arena";
    Page: "VMALLOC_PAGE", "page", "SIZE", Size, "4K, more for very large arenas",
        "page size of the pager: a power of two from the system's page size to 1M";
    Policy: "VMALLOC_POLICY", "policy", "NAME", Policy, "clock",
        "who chooses the pages that leave memory";
    SwapDir: "VMALLOC_SWAP_DIR", "swap-dir", "DIR", Directory, "$TMPDIR, else /tmp",
        "directory of the swap file, which is unlinked at once";
    Stats: "VMALLOC_STATS", "stats", "FILE", File, "off",
        "statistics at exit: - is a short table on stderr, else JSON to this file (%p = process id)";
    Trace: "VMALLOC_TRACE", "trace", "FILE", File, "off",
        "file for a line about every fault and eviction (%p = process id)";
}

impl Variable {
    /// Its line of the table.
    pub fn spec(self) -> &'static OptionSpec {
        // In range: the enum and the table come from the same lines.
        &OPTIONS[self as usize]
    }
}

/// The variable of that name.
pub fn find(name: &[u8]) -> Option<Variable> {
    VARIABLES.into_iter().find(|variable| variable.spec().variable.as_bytes() == name)
}

/// The variable whose name is nearest to a wrong one, if it is near enough to have been meant.
pub fn nearest(name: &[u8]) -> Option<&'static str> {
    OPTIONS
        .iter()
        .filter_map(|spec| Some((distance(name, spec.variable.as_bytes())?, spec.variable)))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, variable)| variable)
}

/// The longest name that is compared.
const LONGEST: usize = 32;

/// How many letters must be added, dropped or changed to make one word of the other; `None` for
/// words that are too long to be meant.
fn distance(one: &[u8], other: &[u8]) -> Option<usize> {
    if one.len() >= LONGEST || other.len() >= LONGEST {
        return None;
    }
    // Row by row of the classic table: `row[j]` is the distance of the part of `one` that was read so
    // far to the first `j` letters of `other`.
    let mut row = [0; LONGEST];
    for (j, cell) in row.iter_mut().enumerate() {
        *cell = j;
    }
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(other) {
            let change = diagonal + usize::from(a.to_ascii_uppercase() != *b);
            diagonal = *cell;
            left = change.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
    }
    row.get(other.len()).copied()
}
