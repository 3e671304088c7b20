//! Every format, and what is said of input that is bad.

#![allow(clippy::unwrap_used, clippy::panic)] // A test may.

use replay::trace::{self, Format, Trace, TraceError};
use replay::{opt, run, table};
use std::io::Write;
use tempfile::NamedTempFile;
use vmcore::page::Access;
use vmcore::policy::by_name;

fn read(format: Format, bytes: &[u8]) -> Result<Vec<String>, TraceError> {
    let reference = |page: u64, access| format!("{page}{}", if access == Access::Read { "r" } else { "w" });
    Trace::of(bytes, "t", format).map(|item| item.map(|item| reference(item.page, item.access))).collect()
}

fn record(object: u64) -> Vec<u8> {
    [&7u32.to_le_bytes()[..], &object.to_le_bytes(), &4096u32.to_le_bytes(), &(-1i64).to_le_bytes()].concat()
}

const CASES: [(Format, &[u8], &[&str]); 8] = [
    (Format::Page, b"# a comment\n3 r\n\n4 w\r\n18446744073709551615 r", &["3r", "4w", "18446744073709551615r"]),
    (Format::Pages, b"3\n4\n", &["3r", "4r"]),
    (Format::Address, b"0x1fff R\n2000 W\nffffffffffffffff r\n", &["1r", "2w", "4503599627370495r"]),
    (
        Format::Lackey,
        b"==12== Lackey\nI  04000c30,3\n L 1ffefff8,8\n S 1ffefffc,8\n M 2000,4\n",
        &["131055r", "131055w", "131056w", "2r", "2w"],
    ),
    (Format::LibCacheSimCsv, b"time, obj_id, obj_size\n1, 5, 100, x\n2,6,1\n", &["5r", "6r"]),
    (Format::LibCacheSimCsv, b"1,5,100\n", &["5r"]),
    (Format::Page, b"", &[]),
    (Format::OracleGeneral, b"", &[]),
];

#[test]
fn formats_are_read() {
    for (format, bytes, expected) in CASES {
        assert_eq!(read(format, bytes).unwrap(), expected, "{format:?}");
        assert_eq!(Format::by_name(format.name()), Some(format));
    }
    let records = [record(9), record(u64::MAX)].concat();
    assert_eq!(read(Format::OracleGeneral, &records).unwrap(), ["9r", "18446744073709551615r"]);
    assert_eq!(Format::by_name("csv"), None);
    let large = Trace::of(&b"0x1fff R\n"[..], "t", Format::Address).page_shift(4);
    assert_eq!(large.map(|item| item.unwrap().page).collect::<Vec<_>>(), [0x1ff]);
}

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn formats_are_recognised() {
    for (format, bytes, _) in CASES.iter().filter(|(_, bytes, _)| !bytes.is_empty()) {
        let file = file(bytes);
        assert_eq!(Format::detect(file.path()).unwrap(), *format, "{bytes:?}");
        assert!(trace::open(file.path(), *format).unwrap().all(|item| item.is_ok()));
    }
    assert_eq!(Format::detect(file(&record(9)).path()).unwrap(), Format::OracleGeneral);
}

#[test]
fn bad_lines_say_what_to_do() {
    let others = "address, lackey, libcachesim-csv, oracle-general";
    for (format, bytes, expected) in [
        (Format::Page, &b"1 r\n2 x\n"[..], format!("t:2: \"2 x\" is not `<page> r` or `<page> w`; mend the line, or choose another format than page (pages, {others})")),
        (Format::Page, b"1 r\n2", "t:2: ends in the middle of a line, so the file was cut; get it again, or remove that line".into()),
        (Format::Pages, b"1 r\n", format!("t:1: \"1 r\" is not a page number; mend the line, or choose another format than pages (page, {others})")),
        (Format::OracleGeneral, &record(1)[..23], "t: ends in the middle of record 1, so it was cut or is not of the format oracle-general; get it again, or choose another format".into()),
    ] {
        let error = read(format, bytes).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    for (format, bytes) in [
        (Format::Page, &b"18446744073709551616 r\n"[..]),
        (Format::Page, b"-1 r\n"),
        (Format::Page, b"\xff\xfe\x00\n"),
        (Format::Address, b"0x R\n"),
        (Format::Address, b"12345678901234567 R\n"),
        (Format::Lackey, b" L 10\n"),
        (Format::Lackey, b" L 10,18446744073709551615\n"),
        (Format::Lackey, b"hello\n"),
        (Format::LibCacheSimCsv, b"1,a,3\n"),
        (Format::LibCacheSimCsv, b"1,2,3\ntime,id,size\n"),
    ] {
        let message = read(format, bytes).unwrap_err().to_string();
        assert!(message.starts_with("t:") && !message.contains('\n'), "{message}");
    }
}

#[test]
fn foreign_files_say_what_to_do() {
    let compressed = file(&[0x28, 0xB5, 0x2F, 0xFD, 0, 0]);
    for error in [Format::detect(compressed.path()).err(), trace::open(compressed.path(), Format::Page).err()] {
        assert!(error.unwrap().to_string().ends_with(": is compressed; decompress it first, with zstd -d"));
    }
    let message = Format::detect(file(b"dear diary,\n").path()).unwrap_err().to_string();
    assert!(message.contains("looks like none of the formats page, pages, address,"), "{message}");
    let message = trace::open("/nonexistent/trace", Format::Page).err().unwrap().to_string();
    assert!(message.starts_with("/nonexistent/trace: No such file or directory"), "{message}");
}

#[test]
fn impossible_sizes_say_what_to_do() {
    let fifo = by_name(b"fifo").unwrap();
    let trace = || Trace::of(&b"1 r\n"[..], "t", Format::Page);
    assert_eq!(run(fifo, 0, trace()).unwrap_err().to_string(), "0 frames: give a number from 1 to 268435456");
    assert!(opt(&[1, u32::MAX], trace()).is_err());
    assert!(table(&[], &[0], trace()).is_err());
    let empty = Trace::of(&b"\n"[..], "t", Format::Page);
    assert!(opt(&[1], empty).unwrap_err().to_string().starts_with("the trace has no references"));
    let cut = Trace::of(&b"1 r\n2"[..], "t", Format::Page);
    assert!(run(fifo, 1, cut).unwrap_err().to_string().starts_with("t:2: ends in the middle"));
}
