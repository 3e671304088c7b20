//! What each setting accepts, what it becomes, and the line that refuses it.

use super::*;

const SYSTEM: System = System { page: 4096, ram: 4 << 30 };

fn read<'e>(entries: &[&'e str]) -> Result<Config<'e>, ConfigError<'e>> {
    from_environment(entries.iter().map(|entry| entry.as_bytes()), &SYSTEM)
}

fn refusal(entries: &[&str]) -> String {
    read(entries).expect_err("should be refused").to_string()
}

#[test]
fn defaults_are_the_contract() {
    let config = read(&["HOME=/root", "PATH", "=odd"]).unwrap();
    assert_eq!((config.arena, config.swap), (8 << 20, 16 << 20));
    assert_eq!((config.heap, config.shared, config.page), (24 << 20, 16 << 10, 4 << 10));
    assert_eq!(config.policy.name(), "clock");
    assert_eq!(config.swap_dir, b"/tmp");
    assert_eq!((config.stats, config.trace), (None, None));
}

#[test]
fn every_variable_is_read() {
    let config = read(&[
        "VMALLOC_ARENA=64M",
        "VMALLOC_SWAP=1G",
        "VMALLOC_HEAP=2g",
        "VMALLOC_SHARED=1M",
        "VMALLOC_PAGE=16K",
        "VMALLOC_POLICY=third-chance",
        "VMALLOC_SWAP_DIR=/var/tmp",
        "VMALLOC_STATS=-",
        "VMALLOC_TRACE=/tmp/trace.%p",
        "TMPDIR=/elsewhere",
    ])
    .unwrap();
    assert_eq!((config.arena, config.swap), (64 << 20, 1 << 30));
    assert_eq!((config.heap, config.shared, config.page), (2 << 30, 1 << 20, 16 << 10));
    assert_eq!(config.policy.name(), "third-chance");
    assert_eq!(config.swap_dir, b"/var/tmp");
    assert_eq!(config.stats, Some(&b"-"[..]));
    assert_eq!(config.trace, Some(&b"/tmp/trace.%p"[..]));
}

#[test]
fn every_policy_can_be_chosen() {
    for policy in crate::policy::POLICIES {
        let entry = format!("VMALLOC_POLICY={}", policy.name());
        assert_eq!(read(&[&entry]).unwrap().policy.name(), policy.name());
    }
}

#[test]
fn sizes_become_whole_pages() {
    let config = read(&["VMALLOC_ARENA=1000001", "VMALLOC_SWAP=1", "VMALLOC_HEAP=4097", "VMALLOC_SHARED=1"]).unwrap();
    assert_eq!(config.arena, 1000001 / 4096 * 4096, "the arena is a limit: down");
    assert_eq!((config.swap, config.heap, config.shared), (4096, 8192, 4096));
}

#[test]
fn special_values() {
    assert_eq!(read(&["VMALLOC_SWAP=0"]).unwrap().swap, 0);
    assert_eq!(read(&["VMALLOC_SWAP=0"]).unwrap().heap, 8 << 20, "phase B: arena and no swap");
    assert_eq!(read(&["VMALLOC_SHARED=0"]).unwrap().shared, 0);
    assert_eq!(read(&["VMALLOC_HEAP=arena"]).unwrap().heap, 8 << 20);
    assert_eq!(read(&["VMALLOC_SWAP=16T"]).unwrap().swap, MAX_PAGES * 4096, "slot numbers fit 32 bits");
}

#[test]
fn the_swap_directory_falls_back() {
    assert_eq!(read(&["TMPDIR=/var/tmp"]).unwrap().swap_dir, b"/var/tmp");
    assert_eq!(read(&["TMPDIR="]).unwrap().swap_dir, b"/tmp");
}

#[test]
fn the_first_of_two_entries_counts() {
    let config = read(&["VMALLOC_ARENA=4M", "VMALLOC_ARENA=6M"]).unwrap();
    assert_eq!(config.arena, 4 << 20);
}

#[test]
fn pages_grow_with_very_large_arenas() {
    let large = System { page: 4096, ram: 1 << 50 };
    for (arena, page) in [("2G", 4 << 10), ("2147487744", 8 << 10), ("4G", 8 << 10), ("1T", 1 << 20)] {
        let entry = format!("VMALLOC_ARENA={arena}");
        let config = from_environment([entry.as_bytes()].into_iter(), &large).unwrap();
        assert_eq!(config.page, page, "{arena}");
    }
    let asked = ["VMALLOC_ARENA=4G", "VMALLOC_PAGE=4K"].map(str::as_bytes);
    let config = from_environment(asked.into_iter(), &large).unwrap();
    assert_eq!(config.page, 4096, "a page size that was asked for stays");
}

#[test]
fn refusals_name_variable_value_and_what_would_be_right() {
    for (entries, line) in [
        (&["VMALLOC_ARENA=8Q"][..], "VMALLOC_ARENA=8Q: not a size; write a number of bytes, with K, M, G or T, such as 8M"),
        (&["VMALLOC_ARENA=-1"], "VMALLOC_ARENA=-1: not a size; write a number of bytes, with K, M, G or T, such as 8M"),
        (&["VMALLOC_ARENA=0"], "VMALLOC_ARENA=0: too small to make progress; at least 144K"),
        (&["VMALLOC_ARENA=143K"], "VMALLOC_ARENA=143K: too small to make progress; at least 144K"),
        (&["VMALLOC_ARENA=1M", "VMALLOC_SHARED=1M"], "VMALLOC_ARENA=1M: too small to make progress; at least 1152K"),
        (
            &["VMALLOC_SHARED=8M"],
            "VMALLOC_SHARED=8M: leaves fewer than 32 frames of the arena of 8M; \
             make it smaller or VMALLOC_ARENA larger",
        ),
        (
            &["VMALLOC_PAGE=1M"],
            "VMALLOC_PAGE=1M: too large for the arena of 8M, which must have 36 pages; \
             make it smaller or VMALLOC_ARENA larger",
        ),
        (&["VMALLOC_ARENA=5G"], "VMALLOC_ARENA=5G: more than the RAM of this machine, 4G"),
        (&["VMALLOC_ARENA=99999999T"], "VMALLOC_ARENA=99999999T: more than the RAM of this machine, 4G"),
        (&["VMALLOC_SWAP=17T"], "VMALLOC_SWAP=17T: at most 16T"),
        (&["VMALLOC_SWAP=99999999999999999999"], "VMALLOC_SWAP=99999999999999999999: at most 16T"),
        (&["VMALLOC_HEAP=0"], "VMALLOC_HEAP=0: must not be zero"),
        (&["VMALLOC_HEAP=area"], "VMALLOC_HEAP=area: not a size; write a number of bytes, with K, M, G or T, such as 8M"),
        (&["VMALLOC_PAGE=5000"], "VMALLOC_PAGE=5000: not a page size; a power of two from 4K to 1M"),
        (&["VMALLOC_PAGE=2K"], "VMALLOC_PAGE=2K: not a page size; a power of two from 4K to 1M"),
        (
            &["VMALLOC_POLICY=mru"],
            "VMALLOC_POLICY=mru: no such policy; there are fifo, clock, third-chance, random, segfifo, lru, s3fifo, s3fifo-1e, car, clockpro",
        ),
        (&["VMALLOC_STATS="], "VMALLOC_STATS=: empty; unset it, or set it to a file"),
        (&["VMALLOC_SWAP_DIR="], "VMALLOC_SWAP_DIR=: empty; unset it, or set it to a directory"),
        (&["VMALLOC_ARNEA=8M"], "VMALLOC_ARNEA=8M: no such variable; did you mean VMALLOC_ARENA?"),
        (&["VMALLOC_SWAPDIR=/tmp"], "VMALLOC_SWAPDIR=/tmp: no such variable; did you mean VMALLOC_SWAP_DIR?"),
        (&["VMALLOC_arena=8M"], "VMALLOC_arena=8M: no such variable; did you mean VMALLOC_ARENA?"),
        (
            &["VMALLOC_COMPRESSION=1"],
            "VMALLOC_COMPRESSION=1: no such variable; there are VMALLOC_ARENA, VMALLOC_SWAP, \
             VMALLOC_HEAP, VMALLOC_SHARED, VMALLOC_PAGE, VMALLOC_POLICY, VMALLOC_SWAP_DIR, \
             VMALLOC_STATS, VMALLOC_TRACE",
        ),
    ] {
        assert_eq!(refusal(entries), line);
    }
}

#[test]
fn a_refusal_is_one_printable_line() {
    let nasty = b"VMALLOC_POLICY=a\nb\x1b[31m\xff";
    let error = from_environment([&nasty[..]].into_iter(), &SYSTEM).unwrap_err();
    let line = error.to_string();
    assert!(line.starts_with("VMALLOC_POLICY=a\\nb\\u{1b}[31m\\xff: "), "{line}");
    let long = format!("VMALLOC_{}=1", "X".repeat(10_000));
    assert!(refusal(&[&long]).len() < 500);
}

#[test]
fn what_cannot_be_used_is_called_by_its_kind() {
    let line = |variable| ConfigError::bad(variable, b"x", Problem::Unusable("why")).to_string();
    assert!(line(Variable::Stats).starts_with("VMALLOC_STATS=x: cannot be written: why; name a file"));
    assert!(line(Variable::Trace).starts_with("VMALLOC_TRACE=x: cannot be written: why; name a file"));
    assert!(line(Variable::SwapDir).starts_with("VMALLOC_SWAP_DIR=x: no swap file can be made there: why; name a directory"));
}

#[test]
fn the_table_is_complete_and_orderly() {
    for (index, spec) in OPTIONS.iter().enumerate() {
        let variable = options::find(spec.variable.as_bytes()).unwrap();
        assert_eq!(variable as usize, index);
        let flag = spec.flag.to_ascii_uppercase().replace('-', "_");
        assert_eq!(spec.variable, format!("{PREFIX}{flag}"));
        assert!(!spec.help.is_empty() && !spec.help.ends_with('.'));
    }
}
