//! What an executable's ELF header says about whether a library can be preloaded into it.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Result;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind, ReadCache, ReadRef};
use std::os::unix::ffi::OsStrExt;

/// For which machine and instruction set a file is made. Files of two targets cannot be mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    is_64: bool,
    endianness: Endianness,
    machine: elf::Machine,
}

/// The facts of one ELF file that decide whether it can be preloaded.
#[derive(Debug, PartialEq)]
pub struct Elf {
    pub target: Target,
    pub is_executable: bool,
    /// The dynamic linker (`PT_INTERP`) that will read `LD_PRELOAD`; a static program has none.
    pub interpreter: Option<PathBuf>,
}

/// Reads the headers of an ELF file.
pub fn read(path: &Path) -> Result<Elf> {
    // The cache reads only what is asked for: programs can be large.
    let cache = ReadCache::new(File::open(path)?);
    parse(&cache)
}

fn parse<'data>(data: impl ReadRef<'data>) -> Result<Elf> {
    match FileKind::parse(data)? {
        FileKind::Elf32 => headers::<FileHeader32<Endianness>, _>(data, false),
        FileKind::Elf64 => headers::<FileHeader64<Endianness>, _>(data, true),
        _ => anyhow::bail!("not an ELF file"),
    }
}

fn headers<'data, Header, Data>(data: Data, is_64: bool) -> Result<Elf>
where
    Header: FileHeader<Endian = Endianness>,
    Data: ReadRef<'data>,
{
    let header = Header::parse(data)?;
    let endianness = header.endian()?;
    let mut interpreter = None;
    for segment in header.program_headers(endianness, data)? {
        if let Some(name) = segment.interpreter(endianness, data)? {
            interpreter = Some(PathBuf::from(std::ffi::OsStr::from_bytes(name)));
        }
    }
    Ok(Elf {
        target: Target { is_64, endianness, machine: header.e_machine(endianness) },
        is_executable: matches!(header.e_type(endianness), elf::ET_EXEC | elf::ET_DYN),
        interpreter,
    })
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = if self.is_64 { 64 } else { 32 };
        match self.machine {
            elf::EM_X86_64 => write!(f, "{bits}-bit x86-64"),
            elf::EM_386 => write!(f, "{bits}-bit x86"),
            elf::EM_AARCH64 => write!(f, "{bits}-bit Arm"),
            elf::EM_ARM => write!(f, "{bits}-bit Arm"),
            elf::EM_RISCV => write!(f, "{bits}-bit RISC-V"),
            elf::EM_PPC64 => write!(f, "{bits}-bit POWER"),
            elf::EM_S390 => write!(f, "{bits}-bit S/390"),
            other => write!(f, "{bits}-bit machine {}", other.0),
        }
    }
}

/// Small ELF files made by hand, for tests.
#[cfg(test)]
pub mod synthetic {
    use super::elf::*;

    /// A little-endian 64-bit file with at most a `PT_INTERP` segment.
    pub fn elf64(kind: FileType, machine: Machine, interpreter: Option<&str>) -> Vec<u8> {
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend(kind.0.to_le_bytes());
        file.extend(machine.0.to_le_bytes());
        file.extend(1u32.to_le_bytes()); // e_version
        file.extend([0; 8]); // e_entry
        file.extend(64u64.to_le_bytes()); // e_phoff: right behind this header
        file.extend([0; 8]); // e_shoff
        file.extend([0; 4]); // e_flags
        let segments = u16::from(interpreter.is_some());
        for half in [64, 56, segments, 64, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        if let Some(name) = interpreter {
            let length = name.len() as u64 + 1;
            file.extend(PT_INTERP.0.to_le_bytes());
            file.extend(PF_R.0.to_le_bytes());
            for word in [64 + 56, 0, 0, length, length, 1] {
                file.extend(u64::to_le_bytes(word));
            }
            file.extend(name.as_bytes());
            file.push(0);
        }
        file
    }

    /// A 32-bit x86 program without segments.
    pub fn elf32() -> Vec<u8> {
        let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend(ET_EXEC.0.to_le_bytes());
        file.extend(EM_386.0.to_le_bytes());
        file.extend([0; 20]);
        for half in [52u16, 32, 0, 40, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

    #[test]
    fn a_dynamic_program_names_its_interpreter() {
        let file = synthetic::elf64(elf::ET_DYN, elf::EM_X86_64, Some(LOADER));
        let elf = parse(file.as_slice()).expect("a good file");
        assert_eq!(elf.interpreter.as_deref(), Some(Path::new(LOADER)));
        assert!(elf.is_executable);
        assert_eq!(elf.target.to_string(), "64-bit x86-64");
    }

    #[test]
    fn a_static_program_has_none() {
        let file = synthetic::elf64(elf::ET_EXEC, elf::EM_X86_64, None);
        assert_eq!(parse(file.as_slice()).expect("a good file").interpreter, None);
    }

    #[test]
    fn targets_differ_by_class_and_machine() {
        let target = |file: Vec<u8>| parse(file.as_slice()).expect("a good file").target;
        let x86_64 = target(synthetic::elf64(elf::ET_EXEC, elf::EM_X86_64, None));
        let aarch64 = target(synthetic::elf64(elf::ET_EXEC, elf::EM_AARCH64, None));
        let x86 = target(synthetic::elf32());
        assert_ne!(x86_64, aarch64);
        assert_eq!(x86.to_string(), "32-bit x86");
    }

    #[test]
    fn an_object_file_is_no_program() {
        let file = synthetic::elf64(elf::ET_REL, elf::EM_X86_64, None);
        assert!(!parse(file.as_slice()).expect("a good file").is_executable);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let file = synthetic::elf64(elf::ET_DYN, elf::EM_X86_64, Some(LOADER));
        for length in 0..file.len() {
            let short = file.get(..length).expect("within the file");
            assert!(parse(short).is_err(), "{length} bytes");
        }
    }
}
